# The shaders, one kernel per file: bx_add_shader(<name>) compiles <name>.comp and makes
# Shader::<name>. Included by src/vulkan.
bx_add_shader(embed)
bx_add_shader(product_tile)
bx_add_shader(product_vec)
bx_add_shader(rms_norm)
bx_write_shader_list()
