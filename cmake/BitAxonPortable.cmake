# Where an installed program searches for its libraries; see tools/package.sh.
#
# lib/ has libraries that few systems have. libstdc++ and libgcc_s come from the system where it has
# them, because its GPU drivers are loaded into the same process and may need newer versions than
# those in lib/cxx/; a process can have only one version of each. The system folders are those of
# Debian, Fedora, Arch and similar systems. DT_RUNPATH, unlike DT_RPATH, is searched after
# LD_LIBRARY_PATH.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib" /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib
                        "$ORIGIN/../lib/cxx")
add_link_options(-Wl,--enable-new-dtags)
