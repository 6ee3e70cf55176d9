# Where an installed program searches for its libraries; see tools/package.sh.
#
# lib/ has libraries that few systems have. If the system has libstdc++ and libgcc_s, the system's
# versions are used, because its GPU drivers are loaded into the same process and may need newer
# versions than those in lib/cxx/; a process can load only one version of each library. The system
# folders are those of Debian, Fedora, Arch and similar systems. DT_RUNPATH, unlike DT_RPATH, is
# searched after LD_LIBRARY_PATH.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib" /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib
                        "$ORIGIN/../lib/cxx")
add_link_options(-Wl,--enable-new-dtags)
