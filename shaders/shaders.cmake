# The shaders, one kernel per file: bx_add_shader(<name>) compiles <name>.comp and makes
# Shader::<name>. Included by src/vulkan.
bx_add_shader(product_tile)
bx_add_shader(product_vec)
bx_add_shader(rms_norm)
bx_add_shader(selective_scan)
bx_add_shader(selective_scan_carry)
bx_add_shader(selective_scan_chunk)
bx_add_shader(ssm_conv)
bx_add_shader(ssm_in_vec)
bx_add_shader(ssm_tail)
bx_write_shader_list()
