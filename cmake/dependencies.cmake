# Everything wirelm stands on, as one interface library. All of it comes from distribution packages: see ./packages.
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
# Debian's dnnl-config.cmake asks for OpenCL, which wirelm has no use for.
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h REQUIRED)
pkg_check_modules(PCAP REQUIRED IMPORTED_TARGET libpcap)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(MD REQUIRED IMPORTED_TARGET libmd)

add_library(wirelm_dependencies INTERFACE)
target_include_directories(wirelm_dependencies INTERFACE ${DNNL_INCLUDE})
target_link_libraries(wirelm_dependencies INTERFACE ${DNNL_LIBRARY} OpenMP::OpenMP_C PkgConfig::PCAP PkgConfig::ZLIB
                      PkgConfig::ZSTD PkgConfig::JANSSON PkgConfig::MD m)
