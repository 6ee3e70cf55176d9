# The shaders, one kernel per file: bx_add_shader(<name>) compiles <name>.comp and makes
# Shader::<name>. Included by src/vulkan.
bx_add_shader(attention_merge)
bx_add_shader(attention_rows)
bx_add_shader(attention_split)
bx_add_shader(attn_append)
bx_add_shader(attn_in_vec)
bx_add_shader(product_vec)
bx_write_shader_list()
