/* SPDX-License-Identifier: BSD-2-Clause */
/* The regions of a guest's physical address space, in a red-black tree. */
#include <x86emu/region.h>

static uint64_t last_of(const struct x86emu_region *region)
{
    return region->gpa + (region->size - 1);
}

static bool is_red(const struct x86emu_region *region)
{
    return region != NULL && region->red;
}

/* --- the tree ----------------------------------------------------------------------------------------------------- */

/* Where the pointer to a node is kept: in its parent, or in the root. */
static struct x86emu_region **link_of(struct x86emu_region_map *map, struct x86emu_region *node)
{
    if (node->parent == NULL)
        return &map->root;
    return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

static void replace(struct x86emu_region_map *map, struct x86emu_region *node, struct x86emu_region *by)
{
    *link_of(map, node) = by;
    if (by != NULL)
        by->parent = node->parent;
}

static void rotate_left(struct x86emu_region_map *map, struct x86emu_region *node)
{
    struct x86emu_region *up = node->right;

    replace(map, node, up);
    node->right = up->left;
    if (up->left != NULL)
        up->left->parent = node;
    up->left = node;
    node->parent = up;
}

static void rotate_right(struct x86emu_region_map *map, struct x86emu_region *node)
{
    struct x86emu_region *up = node->left;

    replace(map, node, up);
    node->left = up->right;
    if (up->right != NULL)
        up->right->parent = node;
    up->right = node;
    node->parent = up;
}

static void rotate(struct x86emu_region_map *map, struct x86emu_region *node, bool left)
{
    if (left)
        rotate_left(map, node);
    else
        rotate_right(map, node);
}

/* A red node may have got a red parent: moves the trouble up until it ends. */
static void balance_insert(struct x86emu_region_map *map, struct x86emu_region *node)
{
    while (is_red(node->parent)) {
        struct x86emu_region *parent = node->parent, *grandparent = parent->parent;
        bool left = parent == grandparent->left;
        struct x86emu_region *uncle = left ? grandparent->right : grandparent->left;

        if (is_red(uncle)) {
            parent->red = uncle->red = false;
            grandparent->red = true;
            node = grandparent;
            continue;
        }
        if (node == (left ? parent->right : parent->left)) {
            rotate(map, parent, left);
            parent = node;
        }
        parent->red = false;
        grandparent->red = true;
        rotate(map, grandparent, !left);
        break;
    }
    map->root->red = false;
}

/* One step of the removal of a black node: the side of parent where node (maybe NULL) hangs lacks one black. Returns the
   node to go on from, or NULL when balance is restored. */
static struct x86emu_region *balance_remove_step(struct x86emu_region_map *map, struct x86emu_region *parent, bool left)
{
    struct x86emu_region *sibling = left ? parent->right : parent->left;
    struct x86emu_region *near, *far;

    if (is_red(sibling)) {
        sibling->red = false;
        parent->red = true;
        rotate(map, parent, left);
        sibling = left ? parent->right : parent->left;
    }
    near = left ? sibling->left : sibling->right;
    far = left ? sibling->right : sibling->left;
    if (!is_red(near) && !is_red(far)) {
        sibling->red = true;
        return parent;
    }
    if (!is_red(far)) {
        near->red = false;
        sibling->red = true;
        rotate(map, sibling, !left);
        far = sibling;
        sibling = near;
    }
    sibling->red = parent->red;
    parent->red = far->red = false;
    rotate(map, parent, left);
    return NULL;
}

static void balance_remove(struct x86emu_region_map *map, struct x86emu_region *node, struct x86emu_region *parent)
{
    while (parent != NULL && !is_red(node)) {
        node = balance_remove_step(map, parent, parent->left == node);
        if (node == NULL)
            return;
        parent = node->parent;
    }
    if (node != NULL)
        node->red = false;
}

static struct x86emu_region *leftmost(struct x86emu_region *node)
{
    while (node->left != NULL)
        node = node->left;
    return node;
}

static void remove_node(struct x86emu_region_map *map, struct x86emu_region *node)
{
    struct x86emu_region *next, *child, *parent;
    bool black = !node->red;

    if (node->left == NULL || node->right == NULL) {
        child = node->left != NULL ? node->left : node->right;
        parent = node->parent;
        replace(map, node, child);
    } else {
        next = leftmost(node->right);
        black = !next->red;
        child = next->right;
        parent = next->parent == node ? next : next->parent;
        if (next->parent != node) {
            replace(map, next, child);
            next->right = node->right;
            next->right->parent = next;
        }
        replace(map, node, next);
        next->left = node->left;
        next->left->parent = next;
        next->red = node->red;
    }
    if (black)
        balance_remove(map, child, parent);
}

/* --- the public functions ----------------------------------------------------------------------------------------- */

static bool is_valid(const struct x86emu_region *region)
{
    unsigned width = region->max_width;

    if (region->size == 0 || last_of(region) < region->gpa)
        return false;
    if (region->kind == X86EMU_REGION_RAM)
        return region->host != NULL && region->host_offset <= region->host->size &&
               region->size <= region->host->size - region->host_offset;
    return region->kind == X86EMU_REGION_MMIO && width != 0 && width <= 64 && (width & (width - 1)) == 0;
}

enum x86emu_region_status x86emu_region_insert(struct x86emu_region_map *map, struct x86emu_region *region)
{
    struct x86emu_region **link = &map->root, *parent = NULL;

    if (!is_valid(region))
        return X86EMU_REGION_INVALID;
    while (*link != NULL) {
        parent = *link;
        if (last_of(region) < parent->gpa)
            link = &parent->left;
        else if (region->gpa > last_of(parent))
            link = &parent->right;
        else
            return X86EMU_REGION_OVERLAP;
    }
    region->left = region->right = NULL;
    region->parent = parent;
    region->red = true;
    *link = region;
    balance_insert(map, region);
    if (region->kind == X86EMU_REGION_RAM)
        region->host->users++;
    map->generation++;
    return X86EMU_REGION_OK;
}

enum x86emu_region_status x86emu_region_remove(struct x86emu_region_map *map, struct x86emu_region *region)
{
    if (x86emu_region_find(map, NULL, region->gpa) != region)
        return X86EMU_REGION_ABSENT;
    remove_node(map, region);
    if (region->kind == X86EMU_REGION_RAM)
        region->host->users--;
    map->generation++;
    return X86EMU_REGION_OK;
}

static bool cached(const struct x86emu_region_map *map, const struct x86emu_region_cache *cache, uint64_t gpa)
{
    return cache != NULL && cache->region != NULL && cache->generation == map->generation &&
           gpa - cache->region->gpa < cache->region->size;
}

struct x86emu_region *x86emu_region_find(const struct x86emu_region_map *map, struct x86emu_region_cache *cache,
                                         uint64_t gpa)
{
    struct x86emu_region *region = map->root;

    if (cached(map, cache, gpa))
        return cache->region;
    while (region != NULL && gpa - region->gpa >= region->size)
        region = gpa < region->gpa ? region->left : region->right;
    if (region != NULL && cache != NULL)
        *cache = (struct x86emu_region_cache){region, map->generation};
    return region;
}

struct x86emu_region *x86emu_region_next(const struct x86emu_region_map *map, uint64_t gpa)
{
    struct x86emu_region *region = map->root, *best = NULL;

    while (region != NULL) {
        if (region->gpa >= gpa) {
            best = region;
            region = region->left;
        } else {
            region = region->right;
        }
    }
    return best;
}
