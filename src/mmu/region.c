/* SPDX-License-Identifier: BSD-2-Clause */
/* The regions of a guest's physical address space, in a red-black tree. */
#include <x86emu/region.h>

static uint64_t last_of(const struct x86emu_region *region)
{
    return region->gpa + (region->size - 1);
}

/*
 * Links are read by lookups while they change, hence the atomic accesses. A release store publishes a new region's own
 * fields too. Parents and colours are the writer's alone.
 */
static struct x86emu_region *load_link(struct x86emu_region *const *link)
{
    return __atomic_load_n(link, __ATOMIC_ACQUIRE);
}

static void store_link(struct x86emu_region **link, struct x86emu_region *region)
{
    __atomic_store_n(link, region, __ATOMIC_RELEASE);
}

/* --- one copy of the tree ----------------------------------------------------------------------------------------- */

/* The copy of the tree that a function works on. */
struct tree {
    struct x86emu_region_map *map;
    unsigned copy; /* 0 or 1 */
};

static struct x86emu_region_links *links(struct tree tree, struct x86emu_region *node)
{
    return &node->links[tree.copy];
}

static bool is_red(struct tree tree, struct x86emu_region *node)
{
    return node != NULL && links(tree, node)->red;
}

static void paint(struct tree tree, struct x86emu_region *node, bool red)
{
    links(tree, node)->red = red;
}

static struct x86emu_region *child(struct tree tree, struct x86emu_region *node, bool left)
{
    return left ? links(tree, node)->left : links(tree, node)->right;
}

static void set_child(struct tree tree, struct x86emu_region *node, bool left, struct x86emu_region *by)
{
    store_link(left ? &links(tree, node)->left : &links(tree, node)->right, by);
    if (by != NULL)
        links(tree, by)->parent = node;
}

static bool is_left(struct tree tree, struct x86emu_region *node)
{
    return links(tree, links(tree, node)->parent)->left == node;
}

/* Puts by (maybe NULL) where node hangs. */
static void replace(struct tree tree, struct x86emu_region *node, struct x86emu_region *by)
{
    struct x86emu_region *parent = links(tree, node)->parent;

    if (parent != NULL) {
        set_child(tree, parent, is_left(tree, node), by);
        return;
    }
    store_link(&tree.map->root[tree.copy], by);
    if (by != NULL)
        links(tree, by)->parent = NULL;
}

/* The child on the other side comes up, node goes down to this side. */
static void rotate(struct tree tree, struct x86emu_region *node, bool left)
{
    struct x86emu_region *up = child(tree, node, !left);

    replace(tree, node, up);
    set_child(tree, node, !left, child(tree, up, left));
    set_child(tree, up, left, node);
}

/* A red node may have got a red parent: moves the trouble up until it ends. */
static void balance_insert(struct tree tree, struct x86emu_region *node)
{
    while (is_red(tree, links(tree, node)->parent)) {
        struct x86emu_region *parent = links(tree, node)->parent, *grandparent = links(tree, parent)->parent;
        bool left = is_left(tree, parent);
        struct x86emu_region *uncle = child(tree, grandparent, !left);

        paint(tree, grandparent, true);
        if (is_red(tree, uncle)) {
            paint(tree, parent, false);
            paint(tree, uncle, false);
            node = grandparent;
            continue;
        }
        if (node == child(tree, parent, !left)) {
            rotate(tree, parent, left);
            parent = node;
        }
        paint(tree, parent, false);
        rotate(tree, grandparent, !left);
        break;
    }
    paint(tree, tree.map->root[tree.copy], false);
}

/*
 * One step of the removal of a black node: this side of parent lacks one black. Answers the node whose side lacks it
 * then, or NULL when balance is restored.
 */
static struct x86emu_region *balance_remove_step(struct tree tree, struct x86emu_region *parent, bool left)
{
    struct x86emu_region *sibling = child(tree, parent, !left);
    struct x86emu_region *near, *far;

    if (is_red(tree, sibling)) {
        paint(tree, sibling, false);
        paint(tree, parent, true);
        rotate(tree, parent, left);
        sibling = child(tree, parent, !left);
    }
    near = child(tree, sibling, left);
    far = child(tree, sibling, !left);
    if (!is_red(tree, near) && !is_red(tree, far)) {
        paint(tree, sibling, true);
        return parent;
    }
    if (!is_red(tree, far)) {
        paint(tree, near, false);
        paint(tree, sibling, true);
        rotate(tree, sibling, !left);
        far = sibling;
        sibling = near;
    }
    paint(tree, sibling, links(tree, parent)->red);
    paint(tree, parent, false);
    paint(tree, far, false);
    rotate(tree, parent, left);
    return NULL;
}

/* node (maybe NULL) took the place of a black node under parent. */
static void balance_remove(struct tree tree, struct x86emu_region *node, struct x86emu_region *parent)
{
    while (parent != NULL && !is_red(tree, node)) {
        node = balance_remove_step(tree, parent, links(tree, parent)->left == node);
        if (node == NULL)
            return;
        parent = links(tree, node)->parent;
    }
    if (node != NULL)
        paint(tree, node, false);
}

static struct x86emu_region *leftmost(struct tree tree, struct x86emu_region *node)
{
    while (links(tree, node)->left != NULL)
        node = links(tree, node)->left;
    return node;
}

/* Takes out a node that has two children: the next one in order takes its place. */
static void remove_inner(struct tree tree, struct x86emu_region *node)
{
    struct x86emu_region *next = leftmost(tree, links(tree, node)->right);
    struct x86emu_region *orphan = links(tree, next)->right, *parent = links(tree, next)->parent;
    bool black = !links(tree, next)->red;

    if (parent == node) {
        parent = next;
    } else {
        replace(tree, next, orphan);
        set_child(tree, next, false, links(tree, node)->right);
    }
    replace(tree, node, next);
    set_child(tree, next, true, links(tree, node)->left);
    paint(tree, next, links(tree, node)->red);
    if (black)
        balance_remove(tree, orphan, parent);
}

static void remove_node(struct tree tree, struct x86emu_region *node)
{
    struct x86emu_region *only;

    if (links(tree, node)->left != NULL && links(tree, node)->right != NULL) {
        remove_inner(tree, node);
        return;
    }
    only = links(tree, node)->left != NULL ? links(tree, node)->left : links(tree, node)->right;
    replace(tree, node, only);
    if (!links(tree, node)->red)
        balance_remove(tree, only, links(tree, node)->parent);
}

static void insert_node(struct tree tree, struct x86emu_region *node)
{
    struct x86emu_region **link = &tree.map->root[tree.copy], *parent = NULL;

    while (*link != NULL) {
        parent = *link;
        link = node->gpa < parent->gpa ? &links(tree, parent)->left : &links(tree, parent)->right;
    }
    set_child(tree, node, true, NULL); /* a lookup that began before node was last removed may still read these */
    set_child(tree, node, false, NULL);
    links(tree, node)->parent = parent;
    paint(tree, node, true);
    store_link(link, node);
    balance_insert(tree, node);
}

/* --- both copies -------------------------------------------------------------------------------------------------- */

/* Sends lookups to the copy that does not change next: the second while generation is odd, else the first. */
static void switch_copies(struct x86emu_region_map *map)
{
    __atomic_store_n(&map->generation, map->generation + 1, __ATOMIC_SEQ_CST);
}

static void change(struct x86emu_region_map *map, struct x86emu_region *region,
                   void (*change_copy)(struct tree tree, struct x86emu_region *node))
{
    switch_copies(map);
    change_copy((struct tree){map, 0}, region);
    switch_copies(map);
    change_copy((struct tree){map, 1}, region);
}

/* --- lookup ------------------------------------------------------------------------------------------------------- */

/* A tree of 2^32 regions is not higher. A lookup that finds it higher read links while they changed. */
#define MAX_HEIGHT 64

static uint32_t begin_lookup(const struct x86emu_region_map *map)
{
    return __atomic_load_n(&map->generation, __ATOMIC_ACQUIRE);
}

/* Whether the copy that the lookup used stayed as it was. The acquire loads of the links came before this one. */
static bool lookup_held(const struct x86emu_region_map *map, uint32_t generation)
{
    return __atomic_load_n(&map->generation, __ATOMIC_RELAXED) == generation;
}

static struct x86emu_region *find_in(const struct x86emu_region_map *map, unsigned copy, uint64_t gpa)
{
    struct x86emu_region *region = load_link(&map->root[copy]);

    for (unsigned height = 0; region != NULL && height < MAX_HEIGHT; height++) {
        const struct x86emu_region_links *at = &region->links[copy];

        if (gpa - region->gpa < region->size)
            return region;
        region = load_link(gpa < region->gpa ? &at->left : &at->right);
    }
    return NULL;
}

static struct x86emu_region *next_in(const struct x86emu_region_map *map, unsigned copy, uint64_t gpa)
{
    struct x86emu_region *region = load_link(&map->root[copy]), *best = NULL;

    for (unsigned height = 0; region != NULL && height < MAX_HEIGHT; height++) {
        const struct x86emu_region_links *at = &region->links[copy];

        if (region->gpa >= gpa)
            best = region;
        region = load_link(region->gpa >= gpa ? &at->left : &at->right);
    }
    return best;
}

struct x86emu_region *x86emu_region_find(const struct x86emu_region_map *map, struct x86emu_region_cache *cache,
                                         uint64_t gpa)
{
    struct x86emu_region *region;
    uint32_t generation = begin_lookup(map);

    if (cache != NULL && cache->region != NULL && cache->generation == generation &&
        gpa - cache->region->gpa < cache->region->size)
        return cache->region;
    region = find_in(map, generation & 1, gpa);
    while (!lookup_held(map, generation)) {
        generation = begin_lookup(map);
        region = find_in(map, generation & 1, gpa);
    }
    if (region != NULL && cache != NULL)
        *cache = (struct x86emu_region_cache){region, generation};
    return region;
}

struct x86emu_region *x86emu_region_next(const struct x86emu_region_map *map, uint64_t gpa)
{
    struct x86emu_region *region;
    uint32_t generation;

    do {
        generation = begin_lookup(map);
        region = next_in(map, generation & 1, gpa);
    } while (!lookup_held(map, generation));
    return region;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

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

static bool overlaps(const struct x86emu_region_map *map, const struct x86emu_region *region)
{
    const struct x86emu_region *next = next_in(map, 0, region->gpa);

    return (next != NULL && next->gpa <= last_of(region)) || find_in(map, 0, region->gpa) != NULL;
}

enum x86emu_region_status x86emu_region_insert(struct x86emu_region_map *map, struct x86emu_region *region)
{
    if (!is_valid(region))
        return X86EMU_REGION_INVALID;
    if (overlaps(map, region))
        return X86EMU_REGION_OVERLAP;
    if (region->kind == X86EMU_REGION_RAM)
        region->host->users++;
    change(map, region, insert_node);
    return X86EMU_REGION_OK;
}

enum x86emu_region_status x86emu_region_remove(struct x86emu_region_map *map, struct x86emu_region *region)
{
    if (find_in(map, 0, region->gpa) != region)
        return X86EMU_REGION_ABSENT;
    change(map, region, remove_node);
    if (region->kind == X86EMU_REGION_RAM)
        region->host->users--;
    return X86EMU_REGION_OK;
}
