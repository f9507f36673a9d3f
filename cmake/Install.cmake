# SPDX-License-Identifier: BSD-2-Clause
# What is installed, and how another project finds it: CMake package x86emucore, pkg-config x86emucore, man pages.
include(CMakePackageConfigHelpers)

set(X86EMU_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/x86emucore")
install(TARGETS x86emu EXPORT x86emucore ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/x86emu" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    FILES_MATCHING PATTERN "*.h")
install(EXPORT x86emucore NAMESPACE x86emucore:: FILE x86emucoreConfig.cmake DESTINATION "${X86EMU_PACKAGE_DIR}")

write_basic_package_version_file("${PROJECT_BINARY_DIR}/x86emucoreConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/x86emucoreConfigVersion.cmake" DESTINATION "${X86EMU_PACKAGE_DIR}")

# The prefix is found from where the .pc file lies, so that an installation can be moved.
file(RELATIVE_PATH X86EMU_PC_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file("${CMAKE_CURRENT_LIST_DIR}/x86emucore.pc.in" "${PROJECT_BINARY_DIR}/x86emucore.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/x86emucore.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

foreach(section IN ITEMS 1 3 7)
    file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/*.${section}")
    if(pages)
        install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
    endif()
endforeach()
