# What `cmake --install` puts beside the programs: the libraries with their public headers, the contract, and a
# package for find_package(convserve). Its component `core` needs no gRPC.
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
install(TARGETS convserve_core EXPORT convserveCoreTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS convserve_generated convserve_proto convserve_client
  EXPORT convserveClientTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(headers_dir ${CMAKE_INSTALL_INCLUDEDIR}/convserve)
set(public_headers
  aligned_buffer convolve data_type describe explain limits packed_weight parameters planner problem solve tensor violation
  xtensor_api)
list(TRANSFORM public_headers PREPEND core/)
list(TRANSFORM public_headers APPEND .h)
install(FILES ${public_headers} DESTINATION ${headers_dir}/core)
install(FILES client/client_security.h client/convolution_client.h client/xtensor_api.h DESTINATION ${headers_dir}/client)
install(FILES proto/results.h DESTINATION ${headers_dir}/proto)
install(FILES proto/convserve/v1/convolution.proto
  DESTINATION ${CMAKE_INSTALL_DATADIR}/convserve/proto/convserve/v1)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/convserve)
foreach(part IN ITEMS Core Client)
  install(EXPORT convserve${part}Targets NAMESPACE convserve:: DESTINATION ${package_dir})
endforeach()
configure_package_config_file(.cmake/convserveConfig.cmake.in
  "${PROJECT_BINARY_DIR}/convserveConfig.cmake" INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/convserveConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/convserveConfig.cmake"
  "${PROJECT_BINARY_DIR}/convserveConfigVersion.cmake" DESTINATION ${package_dir})
