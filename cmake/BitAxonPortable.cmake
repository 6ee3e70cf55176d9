# Where an installed program looks for its libraries; see tools/package.sh.
#
# lib/ has what few systems have. libstdc++ and libgcc_s are the system's where there are any, because
# its GPU drivers are loaded into the same process and may need newer ones than lib/cxx/ has; a
# process can have only one of each. The folders of the system are those of Debian, of Fedora, of Arch
# and their likes. DT_RUNPATH, unlike DT_RPATH, leaves the first word to LD_LIBRARY_PATH.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib" /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib
                        "$ORIGIN/../lib/cxx")
add_link_options(-Wl,--enable-new-dtags)
