# The shaders, one kernel per file: bx_add_shader(<name>) compiles <name>.comp and makes
# Shader::<name>. Included by src/vulkan.
bx_add_shader(product_vec)
bx_add_shader(sample_draw)
bx_add_shader(sample_scale)
bx_add_shader(sample_weight)
bx_write_shader_list()
