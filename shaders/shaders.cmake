# The shaders, one kernel per file: bx_add_shader(<name>) compiles <name>.comp and makes
# Shader::<name>. Included by src/vulkan.
bx_add_shader(moe_combine)
bx_add_shader(moe_down)
bx_add_shader(moe_down_tile)
bx_add_shader(moe_group)
bx_add_shader(moe_route)
bx_add_shader(moe_swiglu)
bx_add_shader(moe_swiglu_tile)
bx_add_shader(product_vec)
bx_write_shader_list()
