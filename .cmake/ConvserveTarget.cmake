# What every target of this project shares: the language level, the warnings (all of them errors), the
# include root, and the sanitizers of the preset.
#
# No -march flag anywhere: kernels choose their instruction set at run time. No floating-point contraction:
# a product and a sum are fused where the source says so and nowhere else, so results do not depend on the
# compiler's mood.
function(convserve_target name)
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/convserve>)
  target_compile_options(${name} PRIVATE
    -Wall -Wextra -Wconversion -Wmissing-declarations $<$<CXX_COMPILER_ID:GNU>:-Werror> -ffp-contract=off
    # GCC 12 takes the moved bytes of an empty absl::InlinedVector for an uninitialised read.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>)
  if(CONVSERVE_SANITIZE)
    target_compile_options(${name} PUBLIC $<BUILD_INTERFACE:-fsanitize=${CONVSERVE_SANITIZE}>
      $<BUILD_INTERFACE:-fno-omit-frame-pointer> $<BUILD_INTERFACE:-fno-sanitize-recover=all>)
    target_link_options(${name} PUBLIC $<BUILD_INTERFACE:-fsanitize=${CONVSERVE_SANITIZE}>)
  endif()
endfunction()
