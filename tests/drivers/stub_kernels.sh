# shellcheck shell=bash
# make_stub_kernels makes libraries with which Mesa's drivers for AMD, Intel and NVIDIA open a GPU that is
# not there. Sourced by tests/drivers/run, after tools/lib.sh and tools/debian_root.sh.
# shellcheck disable=SC2154  # $root is set by lib.sh

# make_stub_kernels FOLDER: fills FOLDER with lib{amdgpu,intel,nouveau}_noop_drm_shim.so, if they are not
# there. Mesa has their sources (src/drm-shim): preloaded into a program, they answer
# the ioctls of a kernel's driver. Debian does not package them, so they are built from Debian 13's
# source package of Mesa, in a root of their own. The result also serves newer versions of Mesa.
make_stub_kernels() {
  local folder=$1 system=$root/build/roots/stub-kernels
  [[ -f $folder/libnouveau_noop_drm_shim.so && -f $folder/libamdgpu_noop_drm_shim.so ]] && return 0
  make_root trixie "$system" dpkg-dev xz-utils gcc g++ meson ninja-build python3-mako python3-yaml \
    python3-packaging pkg-config bison flex libdrm-dev zlib1g-dev libexpat1-dev libelf-dev || return
  sed 's/^deb /deb-src /' "$system/etc/apt/sources.list" >"$system/etc/apt/sources.list.d/sources.list"
  say "building Mesa's stub kernels"
  # The build files of the stub kernels for AMD and NVIDIA ask for the whole drivers, so these two are
  # compiled here. The library refuses empty buffers, which newer drivers ask for. Mesa 26 asks for
  # version 3.54 of the kernel's driver for AMD.
  # shellcheck disable=SC2016
  quietly "$root/build/stub-kernels.log" in_root "$system" '
    cd /root
    apt-get -q update
    apt-get -q source --download-only mesa
    rm -rf mesa build
    mkdir mesa
    tar -xf mesa_*.orig.tar.xz -C mesa --strip-components=1
    cd mesa
    sed -i "/^drm_shim_bo_init(struct shim_bo/,/^}/ s|^{|{ if (size == 0) size = shim_page_size;|" \
      src/drm-shim/device.c
    sed -i "s/version_minor = 49;/version_minor = 64;/" src/amd/drm-shim/amdgpu_noop_drm_shim.c
    off=()
    for part in glx egl gbm llvm gles1 gles2 glvnd valgrind libunwind zstd xmlconfig shared-glapi; do
      off+=("-D$part=disabled")
    done
    meson setup ../build -Dtools=drm-shim,intel -Dvulkan-drivers= -Dgallium-drivers= -Dplatforms= \
      -Dopengl=false "${off[@]}"
    ninja -C ../build src/intel/tools/libintel_noop_drm_shim.so
    read -ra drm < <(pkg-config --cflags libdrm)
    mapfile -t libraries < <(find ../build/src/util ../build/src/c11 -name "*.a")
    # stub NAME SOURCE...
    stub() {
      gcc -shared -fPIC -O1 -D_GNU_SOURCE -DHAVE_ENDIAN_H -DHAVE_PTHREAD -DHAVE_SECURE_GETENV \
        -DHAVE_STRUCT_TIMESPEC -DHAVE_TIMESPEC_GET -DUTIL_ARCH_LITTLE_ENDIAN=1 \
        -DUTIL_ARCH_BIG_ENDIAN=0 -DPIPE_OS_LINUX -Iinclude -Isrc -Isrc/amd -Isrc/drm-shim \
        -Iinclude/drm-uapi "${drm[@]}" "${@:2}" -o "../build/lib$1_noop_drm_shim.so" \
        -Wl,--whole-archive ../build/src/drm-shim/libdrm_shim.a -Wl,--no-whole-archive \
        "${libraries[@]}" -ldl -lpthread -lm -lz
    }
    stub nouveau src/nouveau/drm-shim/nouveau_noop.c
    stub amdgpu src/amd/drm-shim/amdgpu_noop_drm_shim.c src/amd/drm-shim/amdgpu_devices.c' || return
  mkdir -p "$folder"
  cp "$system/root/build/src/intel/tools/libintel_noop_drm_shim.so" \
    "$system"/root/build/lib{nouveau,amdgpu}_noop_drm_shim.so "$folder"
}
