# What `cmake --install` puts where, and the Debian packages that cpack makes of it:
#
#   quired         the daemon, its units, its flag file (a conffile), layouts of models
#   libquire1      the shared library, for programs that run
#   libquire-dev   headers, pkg-config and CMake files, for programs that are built
#   quirectl       the command line, and price books; also of use where no daemon runs
#
# ./dev package builds, checks and tries them. Maintainer scripts lie beside this file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(PACKAGE_SOURCES ${CMAKE_CURRENT_LIST_DIR})
set(PACKAGE_FILES ${PROJECT_BINARY_DIR}/package)

# --- quired -----------------------------------------------------------------------------------
# An operator's copy of the example, with a place for what commands set.
file(READ ${PROJECT_SOURCE_DIR}/configs/quired.flags flags)
string(REPLACE "quired --flagfile=configs/quired.flags" "Flags of quired.service: see quired(8)" flags "${flags}")
string(REPLACE "#--state_file=" "--state_file=" flags "${flags}")
file(WRITE ${PACKAGE_FILES}/quired.flags "${flags}")

install(TARGETS quired RUNTIME DESTINATION bin COMPONENT quired)
install(FILES ${PACKAGE_FILES}/quired.flags DESTINATION /etc/quire COMPONENT quired)
install(FILES ${PROJECT_SOURCE_DIR}/configs/systemd/quired.service
              ${PROJECT_SOURCE_DIR}/configs/systemd/quired.socket
        DESTINATION lib/systemd/system COMPONENT quired)
install(FILES ${PROJECT_SOURCE_DIR}/configs/systemd/quire.sysusers.conf
        DESTINATION lib/sysusers.d RENAME quire.conf COMPONENT quired)
install(FILES ${PROJECT_SOURCE_DIR}/configs/systemd/quire.tmpfiles.conf
        DESTINATION lib/tmpfiles.d RENAME quire.conf COMPONENT quired)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs/models DESTINATION share/quire COMPONENT quired)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/ DESTINATION share/doc/quired COMPONENT quired
        FILES_MATCHING PATTERN "*.md")

# --- libquire1, libquire-dev --------------------------------------------------------------------
set_target_properties(quire_shared PROPERTIES EXPORT_NAME quire)
target_include_directories(quire_shared INTERFACE $<INSTALL_INTERFACE:include/quire>)
install(TARGETS quire_shared EXPORT quireTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libquire1
                NAMELINK_COMPONENT libquire-dev)
file(GLOB headers ${PROJECT_SOURCE_DIR}/client/quire_c*.h)
install(FILES ${headers} DESTINATION include/quire/client COMPONENT libquire-dev)
install(EXPORT quireTargets NAMESPACE quire:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/quire
        COMPONENT libquire-dev)
configure_package_config_file(${PACKAGE_SOURCES}/quireConfig.cmake.in
                              ${PACKAGE_FILES}/quireConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/quire)
write_basic_package_version_file(${PACKAGE_FILES}/quireConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PACKAGE_FILES}/quireConfig.cmake ${PACKAGE_FILES}/quireConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/quire COMPONENT libquire-dev)
configure_file(${PACKAGE_SOURCES}/libquire.pc.in ${PACKAGE_FILES}/libquire.pc @ONLY)
install(FILES ${PACKAGE_FILES}/libquire.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT libquire-dev)
install(FILES ${PROJECT_SOURCE_DIR}/tests/package/package_c.c
              ${PROJECT_SOURCE_DIR}/tests/package/package_cc.cc
        DESTINATION share/doc/libquire-dev/examples COMPONENT libquire-dev)

# --- quirectl -----------------------------------------------------------------------------------
install(TARGETS quirectl RUNTIME DESTINATION bin COMPONENT quirectl)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs/prices DESTINATION share/quire COMPONENT quirectl)

# --- what Debian asks of every package ----------------------------------------------------------
# Manual pages are printed by the programs themselves, when they are installed: they cannot drift.
install(CODE "execute_process(COMMAND ${PACKAGE_SOURCES}/man_pages.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
              ${PACKAGE_FILES} COMMAND_ERROR_IS_FATAL ANY)" COMPONENT quired)
install(FILES ${PACKAGE_FILES}/quired.8.gz DESTINATION share/man/man8 COMPONENT quired)
install(CODE "execute_process(COMMAND ${PACKAGE_SOURCES}/man_pages.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
              ${PACKAGE_FILES} COMMAND_ERROR_IS_FATAL ANY)" COMPONENT quirectl)
install(FILES ${PACKAGE_FILES}/quirectl.1.gz DESTINATION share/man/man1 COMPONENT quirectl)
# So are completions, each where its shell looks for it.
install(CODE "execute_process(COMMAND ${PACKAGE_SOURCES}/completions.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
              ${PACKAGE_FILES}/completions COMMAND_ERROR_IS_FATAL ANY)" COMPONENT quirectl)
install(FILES ${PACKAGE_FILES}/completions/quirectl
        DESTINATION share/bash-completion/completions COMPONENT quirectl)
install(FILES ${PACKAGE_FILES}/completions/_quirectl
        DESTINATION share/zsh/vendor-completions COMPONENT quirectl)
install(FILES ${PACKAGE_FILES}/completions/quirectl.fish
        DESTINATION share/fish/vendor_completions.d COMPONENT quirectl)
configure_file(${PACKAGE_SOURCES}/changelog ${PACKAGE_FILES}/changelog @ONLY)
execute_process(COMMAND gzip -9nf ${PACKAGE_FILES}/changelog COMMAND_ERROR_IS_FATAL ANY)
set(CPACK_COMPONENTS_ALL quired libquire1 libquire-dev quirectl)
foreach(package ${CPACK_COMPONENTS_ALL})
  install(FILES ${PACKAGE_SOURCES}/copyright DESTINATION share/doc/${package} COMPONENT ${package})
  install(FILES ${PACKAGE_FILES}/changelog.gz DESTINATION share/doc/${package} COMPONENT ${package})
  string(TOUPPER ${package} key)
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${package})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME quire)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_CONTACT "Quire maintainers <quire@localhost>")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_QUIRED_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_LIBQUIRE1_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBQUIRE-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_QUIRECTL_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_QUIRED_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles, passwd, init-system-helpers (>= 1.52)")
set(CPACK_DEBIAN_QUIRED_PACKAGE_RECOMMENDS quirectl)
set(CPACK_DEBIAN_LIBQUIRE-DEV_PACKAGE_DEPENDS "libquire1 (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_QUIRED_DESCRIPTION "daemon that keeps the KV cache of language models
quired owns pages of KV cache in RAM and on SSD, outside the inference
engine. Engines of the host attach over shared memory, find the longest
prefix that can be resumed, and read hits in place. Each hit has a receipt.")
set(CPACK_DEBIAN_LIBQUIRE1_DESCRIPTION "library of engines that attach to quired
The C library by which inference engines match, load and commit pages of
KV cache that quired keeps for them. It exports versioned symbols of C and
nothing else, so that an engine's own libraries never meet its.")
set(CPACK_DEBIAN_LIBQUIRE-DEV_DESCRIPTION "library of engines that attach to quired (development)
Headers of the C library, a header-only layer for C++17 over them, files for
pkg-config and CMake, and two examples that store pages, find them again and
compare every byte.")
set(CPACK_DEBIAN_QUIRECTL_DESCRIPTION "command line of quired
Shows and operates a running quired: tiers, policies, quotas, flags and
receipts. Also computes bills from receipts and price books, for which no
daemon need run on the host.")
set(CPACK_DEBIAN_QUIRED_PACKAGE_CONTROL_EXTRA
    ${PACKAGE_FILES}/quired/postinst ${PACKAGE_FILES}/quired/prerm ${PACKAGE_FILES}/quired/postrm
    ${PACKAGE_FILES}/quired/conffiles)
set(CPACK_DEBIAN_LIBQUIRE1_PACKAGE_CONTROL_EXTRA ${PACKAGE_FILES}/libquire1/triggers
    ${PACKAGE_FILES}/libquire1/shlibs ${PACKAGE_FILES}/libquire1/symbols)
# cpack takes them by the names that dpkg knows.
foreach(extra quired/postinst quired/prerm quired/postrm quired/conffiles libquire1/triggers
              libquire1/shlibs libquire1/symbols)
  string(REPLACE "/" "." source ${extra})
  configure_file(${PACKAGE_SOURCES}/${source} ${PACKAGE_FILES}/${extra} COPYONLY)
endforeach()
include(CPack)
