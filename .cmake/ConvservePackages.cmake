# Debian packages, by `./dev package`: convserve (the server with its systemd unit), convctl, and libconvserve-dev (the
# client library and the core, which are static: what they need to build is what the package depends on).
set(system_dir packages)
install(FILES ${system_dir}/convserve.service DESTINATION /lib/systemd/system COMPONENT convserve EXCLUDE_FROM_ALL)
install(FILES ${system_dir}/convserve.default DESTINATION /etc/default RENAME convserve
  COMPONENT convserve EXCLUDE_FROM_ALL)
set(packages convserve convctl libconvserve-dev)
set(components convserve convctl development)
foreach(package component IN ZIP_LISTS packages components)
  install(FILES ${system_dir}/copyright DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package}
    COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The convserve authors <convserve@localhost>")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_CONVSERVE_PACKAGE_NAME convserve)
set(CPACK_DEBIAN_CONVSERVE_PACKAGE_SECTION net)
set(CPACK_DEBIAN_CONVSERVE_DESCRIPTION
"Convolution and transposed convolution as a gRPC service
 The server, with a systemd unit whose settings are in /etc/default/convserve. It listens on
 127.0.0.1:50051 until told otherwise.")
set(CPACK_DEBIAN_CONVSERVE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CONVSERVE_PACKAGE_SUGGESTS convctl)
set(CPACK_DEBIAN_CONVSERVE_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/${system_dir}/conffiles ${PROJECT_SOURCE_DIR}/${system_dir}/postinst
  ${PROJECT_SOURCE_DIR}/${system_dir}/prerm ${PROJECT_SOURCE_DIR}/${system_dir}/postrm)

set(CPACK_DEBIAN_CONVCTL_PACKAGE_NAME convctl)
set(CPACK_DEBIAN_CONVCTL_PACKAGE_SECTION net)
set(CPACK_DEBIAN_CONVCTL_DESCRIPTION
"Command-line client of the convolution service convserve
 Convolves pictures, NumPy files and numbers, explains the arithmetic, asks for a server's health
 and measures it; with --embedded it brings its own server.")
set(CPACK_DEBIAN_CONVCTL_PACKAGE_SHLIBDEPS ON)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libconvserve-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
"C++ client library of the convolution service convserve
 Static libraries, headers, the protobuf contract and a CMake package: convserve::client calls a
 server, convserve::core computes without one.")
string(JOIN ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  libabsl-dev libfmt-dev libgrpc++-dev libhwy-dev libprotobuf-dev libtbb-dev libxtensor-dev
  protobuf-compiler protobuf-compiler-grpc)
include(CPack)
