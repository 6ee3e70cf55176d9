// Tests of the analysis of machine code, and of the figures that follow from it.
#include <gtest/gtest.h>

#include "gpu_code/figures.h"
#include "params/attention_rows.h"
#include "params/mat_vec.h"
#include "params/product_vec.h"
#include "params/selective_scan.h"

namespace bitaxon::gpu_code {
namespace {

constexpr const char* kTwoLoops = R"(
BB0:
	s_load_dwordx4 s[0:3], s[2:3], 0x0                          ; f4080001 fa000000
	v_mov_b32_e32 v0, 0                                         ; 7e000280
BB1:
	s_cmp_ge_u32 s4, s5                                         ; bf090504
	s_cbranch_scc1 BB5                                          ; bf850010
BB2:
	global_load_dwordx4 v[4:7], v[2:3], off                     ; dc388000 047d0002
	global_load_ushort v8, v[2:3], off offset:16                ; dc288010 087d0002
BB3:
	buffer_load_dwordx4 v[10:13], v9, s[0:3], 0 offen           ; e0381000 80000a09
	v_fmac_f32_e32 v0, v10, v4                                  ; 5600090a
	v_pk_fma_f16 v1, v10, v4, v1                                ; cc0e4001
	v_dual_fmac_f32 v0, v11, v5 :: v_dual_mul_f32 v14, v12, v6  ; c8060b05 000e0d06
	ds_read_b32 v15, v14                                        ; d8d80000 0f00000e
	s_cbranch_scc0 BB3                                          ; bf84fff8
BB4:
	v_add_u32_e32 v2, 32, v2                                    ; 680404a0
	s_branch BB1                                                ; bf82fff0
BB5:
	s_waitcnt vmcnt(0)                                          ; bf8c3f70
	global_store_dword v[2:3], v0, off                          ; dc708000 007d0002
	s_endpgm                                                    ; bf810000
)";

TEST(MachineCode, CountsInstructionsByKind) {
  const MachineCode code = analyse_amd(kTwoLoops);
  EXPECT_EQ(code.outside.all, 5);
  EXPECT_EQ(code.outside.vector, 1);
  EXPECT_EQ(code.outside.memory, 1);
  EXPECT_EQ(code.outside.waits, 3);  // a scalar load, a wait, the end
  ASSERT_EQ(code.loops.size(), 2u);
  const Instructions& inner = code.loops[1].own;
  EXPECT_EQ(inner.vector, 3);
  EXPECT_EQ(inner.products, 5);
  EXPECT_EQ(inner.local, 1);
  EXPECT_EQ(inner.memory, 1);
  EXPECT_EQ(inner.scalar, 1);
  EXPECT_EQ(inner.buffer_bytes, 16);
}

TEST(MachineCode, FindsLoopsInLoops) {
  const MachineCode code = analyse_amd(kTwoLoops);
  ASSERT_EQ(code.loops.size(), 2u);
  EXPECT_EQ(code.loops[0].parent, -1);
  EXPECT_EQ(code.loops[1].parent, 0);
  EXPECT_EQ(code.loops[0].own.vector, 1);
  EXPECT_EQ(code.loops[0].own.address_bytes, 18);
  EXPECT_EQ(code.loops[0].own.wide_bytes, 16);
  EXPECT_EQ(code.loops[0].whole.vector, 4);
  EXPECT_TRUE(analyse_amd("").loops.empty());
}

TEST(MachineCode, ABranchForwardIsNoLoop) {
  EXPECT_TRUE(analyse_amd("BB0:\n s_cbranch_scc1 BB1\n v_nop\nBB1:\n s_endpgm\n").loops.empty());
}

TEST(MachineCode, FindsLoopsOfNvidiaWithAndWithoutACondition) {
  for (const char* branch : {"bra L1", "@!p0 bra L1 // delay=5", "bra !up0 L1   // delay=5"}) {
    const std::string text = std::string(
                                 "block 0 L0 [] -> {\n  nop\n} -> [1]\nblock 1 L1 [0, 1] -> {\n"
                                 "  r0 = ffma r1 r2 r0\n  ") +
                             branch + "\n} -> [1]\n";
    const MachineCode code = analyse_nvidia(text);
    ASSERT_EQ(code.loops.size(), 1u) << branch;
    EXPECT_EQ(code.loops[0].own.products, 1) << branch;
  }
}

// The second turn of the loop begins in block 4, which is placed behind the end of the program.
constexpr const char* kScatteredLoop = R"(
block.u 0 L0 [] -> {
  r1 = mov c[0x0][0x30] // delay=6
} -> [1]
block 1 L1 [0, 4] -> {
  r8 p0 = iadd3 r1 c[0x1][0x10] rZ // delay=13
  r9 = iadd3.x rZ c[0x1][0x14] rZ p0 pF // delay=6
  r16..20 = ld.global.a64.constant.b128 [r8..10+0x10] // delay=1 wr:1
  r12 = mov r8 // delay=6
  r8 p0 = iadd3 r2 r3 rZ // delay=13
  r20..24 = ld.global.a64.constant.b128 [r8..10] // delay=1 wr:0
  r24 = ld.global.a64.constant.b32 [r12..14+rZ], pT // delay=1 wr:0
  p0 = isetp.ge.u32 r33 c[0x0][0x78] // delay=13
@!p0 bra L4 // delay=1
} -> [2, 4]
block 2 L2 [1] -> {
  r1 = ffma.ftz r1 r2 r3 // delay=4
  exit // delay=1
} -> []
block 4 L4 [1] -> {
  up0 = isetp.ge.u32 ur3 0x4 // delay=13
  r1 = i2f.f32.i32.re r1 // delay=6 wr:0
  bra L1 // delay=1
} -> [1]
)";

TEST(MachineCode, BlocksOfALoopMayBeAnywhere) {
  const MachineCode code = analyse_nvidia(kScatteredLoop);
  ASSERT_EQ(code.loops.size(), 1u);
  EXPECT_EQ(code.loops[0].parent, -1);
  EXPECT_EQ(code.loops[0].own.all, 12);
  EXPECT_EQ(code.loops[0].own.vector, 6);
  EXPECT_EQ(code.loops[0].own.scalar, 3);  // two branches, and a comparison for all lanes
  EXPECT_EQ(code.loops[0].own.conversions, 1);
  EXPECT_EQ(code.loops[0].own.products, 0);
  EXPECT_EQ(code.outside.vector, 2);
  EXPECT_EQ(code.outside.products, 1);
}

TEST(MachineCode, LoadsOfNvidiaThroughBindingsFollowFromTheirAddresses) {
  const MachineCode code = analyse_nvidia(kScatteredLoop);
  ASSERT_EQ(code.loops.size(), 1u);
  EXPECT_EQ(code.loops[0].own.buffer_bytes, 16 + 4);
  EXPECT_EQ(code.loops[0].own.address_bytes, 16);
  EXPECT_EQ(code.loops[0].own.wide_bytes, 16);
}

TEST(MachineCode, FindsLoopsOfBlocksInLoops) {
  // 0, then a loop of 1, 4, 5 and 2 around one of 4 and 5. Block 6 leads nowhere and comes from nowhere.
  std::vector<CodeBlock> blocks(7);
  for (CodeBlock& block : blocks) block.counts = {.all = 1, .vector = 1};
  blocks[0].next = {1};
  blocks[1].next = {4, 3};
  blocks[2].next = {1};
  blocks[4].next = {5};
  blocks[5].next = {4, 2};
  blocks[6].next = {1};
  const MachineCode code = machine_code(blocks);
  ASSERT_EQ(code.loops.size(), 2u);
  EXPECT_EQ(code.loops[0].own.vector, 2);
  EXPECT_EQ(code.loops[0].whole.vector, 4);
  EXPECT_EQ(code.loops[1].own.vector, 2);
  EXPECT_EQ(code.loops[1].parent, 0);
  EXPECT_EQ(code.outside.vector, 3);
  // A block from which two ways lead to each other has no first block on every way.
  EXPECT_TRUE(machine_code(std::vector<CodeBlock>{{.next = {1, 2}}, {.next = {2}}, {.next = {1}}})
                  .loops.empty());
}

constexpr const char* kIntelLoop25 = R"(
mov(8)          g35<1>UD        g2<8,8,1>UD                     { align1 1Q };

LABEL3:
cmp.ge.f0.0(8)  null<1>UD       g35<8,8,1>UD    g102<0,1,0>UD   { align1 1Q I@2 };
(+f0.0) break(8) JIP:  LABEL2         UIP:  LABEL2              { align1 1Q };
sync nop(1)                     null<0,1,0>UB                   { align1 WE_all 1N $4.src };
send(8)         g5UD            g1UD            nullUD          0x04403580                0x00000000
                            ugm MsgDesc: ( load, a64, d32, V4, L1STATE_L3MOCS dst_len = 4 flat )  base_offset 0  { align1 1Q $8 };
send(8)         g24UD           g101UD          nullUD          0x62403500                0x02000000
                            ugm MsgDesc: ( load, a32, d32, V4, L1STATE_L3MOCS dst_len = 4 bti )  BTI 2  base_offset 0  { align1 1Q $11 };
send(1)         g70UD           g86UD           nullUD          0x0210C580                0x00000000
                            ugm MsgDesc: ( load, a64, d32, V8, transpose, L1STATE_L3MOCS dst_len = 1 flat )  { align1 WE_all 1N $1 };
send(8)         g24UD           g101UD          nullUD          0x62403500                0x02000000
                            slm MsgDesc: ( load, a32, d32, V2, L1STATE_L3MOCS dst_len = 2 )  { align1 1Q $11 };
mov(8)          g7<1>F          g5<32,8,4>UB                    { align1 1Q $8.dst };
mov(8)          g8<1>UD         g5<32,8,4>UB                    { align1 1Q };
mov(8)          g9<1>F          0x00000000F                     { align1 1Q };
mul(8)          g10<1>F         g7<1,1,0>F      g74<1,1,0>F     { align1 1Q };
mul(8)          g11<1>D         g48<0,1,0>D     g64<0,1,0>UW    { align1 1Q };
mad(8)          g104<1>F        g103<8,8,1>F    g24<8,8,1>F     g5<1,1,1>F { align1 1Q @7 $6.dst };

LABEL2:
while(8)        JIP:  LABEL3                                    { align1 1Q };
)";
// The same loop.
constexpr const char* kIntelLoop26 = R"(
        mov (8)                   r35           r2

L0:
        cmp (8)        (ge)f0.0   null          r35               r102<0>         {I@2}
(f0.0)  break (8)                             jip:L1              uip:L1
(W)     sync.nop (1)                            null                              {$4.src}
        send.ugm (8)              r5      r1     null:0  0x00000000  0x04403580   {$8}  // wr:2+0, rd:4; load.ugm.d32x4.a64
        send.ugm (8)              r24     r101   null:0  0x02000000  0x62403500   {$11}  // wr:1+0, rd:4; load.ugm.d32x4.a32.bti[2]
(W)     send.ugm (1)              r70     r86    null:0  0x00000000  0x0210C580   {$1}  // wr:1+0, rd:1; load.ugm.d32x8t.a64
        send.slm (8)              r24     r101   null:0  0x00000000  0x62403500   {$11}  // wr:1+0, rd:2; load.slm.d32x2.a32
        mov (8)                   r7:f          r5<4>:ub                          {$8.dst}
        mov (8)                   r8            r5<4>:ub
        mov (8)                   r9:f          0x0:f
        mul (8)                   r10:f         r7:f              r74<0>:f
        mul (8)                   r11:d         r48<0>:d          r64<0>:uw
        mad (8)                   r104:f        r103:f            r24:f             r5<1>:f {F@4}

L1:
        while (8)                             L0
)";

TEST(MachineCode, ReadsIntelsCodeAsMesa25AndMesa26PrintIt) {
  for (const char* text : {kIntelLoop25, kIntelLoop26}) {
    const MachineCode code = analyse_intel(text);
    EXPECT_EQ(code.outside.vector, 1);
    ASSERT_EQ(code.loops.size(), 1u) << text;
    const Instructions& own = code.loops[0].own;
    EXPECT_EQ(own.vector, 7);
    EXPECT_EQ(own.products, 2);
    EXPECT_EQ(own.conversions, 1);
    EXPECT_EQ(own.scalar, 2);
    EXPECT_EQ(own.local, 1);
    EXPECT_EQ(own.memory, 2);
    EXPECT_EQ(own.address_bytes, 16);
    EXPECT_EQ(own.wide_bytes, 16);
    EXPECT_EQ(own.buffer_bytes, 16);
  }
}

TEST(MachineCode, FindsIntelsMatrixProductsAndBarriers) {
  const MachineCode code = analyse_intel(
      "(W)     dpas.8x8 (8)              r27:f         r3:f              r11:hf            r19:hf\n"
      "(W&f0.0.any8h) sync.bar (8)                    null\n"
      "(W)     send.gtwy (8)             null    r1     null:0  0x0  0x02000004   {$1}  // wr:1+0, "
      "rd:0; barrier_msg (8)\n"
      "(W)     mov (8)        (ne)f0.0   null:d        r76<0>:d\n");
  EXPECT_EQ(code.outside.matrix, 1);
  EXPECT_EQ(code.outside.products, 128);
  EXPECT_EQ(code.outside.vector, 2);
  EXPECT_EQ(code.outside.waits, 2);
  EXPECT_EQ(code.outside.conversions, 0);
}

KernelFacts q4_facts() {
  KernelFacts facts;
  facts.kind = KernelKind::vec;
  facts.kernel = "product_vec";
  facts.format = "q4_g64";
  facts.bits = 4;
  facts.group = 64;
  facts.outs = 1;
  return facts;
}

TEST(Figures, InnerLoopsTakeTheColumnsOfTheCodesThatWereLoaded) {
  PipelineCode pipeline;
  pipeline.code = analyse_amd(kTwoLoops);
  pipeline.subgroup_size = 64;
  pipeline.group_size = 128;
  const Executed turn = main_turn(pipeline, q4_facts());
  // 16 bytes of codes are 32 columns, and a turn of the inner loop takes 4 of them.
  EXPECT_EQ(turn.weights, 32);
  EXPECT_EQ(turn.vector, 1 + 8 * 3);
  EXPECT_EQ(turn.local, 8);
  // 2560 columns are one full turn of 64 lanes and a quarter of another.
  const Executed all = executed_by_vec(pipeline, q4_facts(), kAllInColumns);
  EXPECT_EQ(all.vector, 1 + 2 * 25);
  EXPECT_EQ(all.weights, 40);
  const Figures figures = figures_of(pipeline, q4_facts());
  EXPECT_DOUBLE_EQ(figures.at("loop"), 25.0 / 32);
  EXPECT_DOUBLE_EQ(figures.at("all_in"), 51.0 / 40);
}

TEST(Figures, ANarrowerLoopTakesTheColumnsThatAreLeft) {
  PipelineCode pipeline;
  pipeline.subgroup_size = 64;
  pipeline.group_size = 128;
  const auto loop = [](std::size_t first, std::int64_t columns, std::int64_t vector) {
    Loop made;
    made.first = first;
    made.last = first + 1;
    made.own = {.all = vector,
                .vector = vector,
                .products = columns,
                .buffer_bytes = 4 * columns,
                .address_bytes = 16};
    made.whole = made.own;
    return made;
  };
  pipeline.code.loops = {loop(0, 32, 100), loop(10, 8, 30)};
  const Executed all = executed_by_vec(pipeline, q4_facts(), kAllInColumns);
  EXPECT_EQ(all.vector, 100 + 30);  // 2048 columns, then 512
  // Without products, the second loop does something else, once.
  pipeline.code.loops[1].own.products = 0;
  EXPECT_EQ(executed_by_vec(pipeline, q4_facts(), kAllInColumns).vector, 2 * 100 + 30);
}

TEST(Figures, IntegerDotsTakeXThatAnotherLoopHasWritten) {
  KernelFacts facts = q4_facts();
  facts.has_dots = true;
  facts.rows = 2;
  facts.outs = 4;
  Loop writes, multiplies;
  writes.first = 1;
  // 8 columns of both rows, and of the norm, which comes through an address.
  writes.own = {.all = 90,
                .vector = 80,
                .products = 128,
                .conversions = 2,
                .local = 10,
                .buffer_bytes = 64,
                .address_bytes = 32};
  multiplies.first = 2;
  multiplies.own = {.all = 400,
                    .vector = 320,
                    .products = 1024,
                    .conversions = 8,
                    .address_bytes = 80,
                    .wide_bytes = 64};
  writes.whole = writes.own;
  multiplies.whole = multiplies.own;
  PipelineCode pipeline;
  pipeline.subgroup_size = 32;
  pipeline.group_size = 64;
  pipeline.code.loops = {writes, multiplies};
  EXPECT_EQ(main_turn(pipeline, facts).weights, 4 * 32);
  // Three turns of 32 lanes with 32 columns each, and five of 64 lanes with 8 columns of both rows.
  EXPECT_EQ(executed_by_vec(pipeline, facts, kAllInColumns).vector, 3 * 320 + 5 * 80);
  // With one conversion, a turn takes one row.
  pipeline.code.loops[0].own.conversions = 1;
  EXPECT_EQ(executed_by_vec(pipeline, facts, kAllInColumns).vector, 3 * 320 + 10 * 80);
}

TEST(Figures, ATileHasProductsPerInstruction) {
  PipelineCode pipeline;
  Loop outer, inner;
  outer.own = {.all = 80, .vector = 80, .address_bytes = 8};
  inner.own = inner.whole = {.all = 260, .vector = 260, .products = 256};
  inner.parent = 0;
  outer.whole = outer.own;
  outer.whole += inner.whole;
  pipeline.code.loops = {outer, inner};
  KernelFacts facts;
  facts.kind = KernelKind::tile;
  facts.rows = 64;
  EXPECT_DOUBLE_EQ(figures_of(pipeline, facts).at("efficiency"), 1024.0 / (80 + 4 * 260));
}

constexpr const char* kMatrixLoop = R"(
BB0:
	v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]
BB1:
	ds_load_b128 v[8:11], v24
	s_waitcnt lgkmcnt(0)
	v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]
	v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]
	v_add_nc_u32_e32 v24, 32, v24
	s_cbranch_scc0 BB1
	s_endpgm
)";

TEST(Figures, AKernelForMatrixUnitsHasItsOtherInstructions) {
  PipelineCode pipeline;
  pipeline.code = analyse_amd(kMatrixLoop);
  EXPECT_EQ(pipeline.code.outside.matrix, 1);
  KernelFacts facts;
  facts.kind = KernelKind::tile;
  facts.rows = 64;
  const Figures figures = figures_of(pipeline, facts);
  EXPECT_DOUBLE_EQ(figures.at("per_matrix"), 3.0 / 2);  // a load, an addition and a branch
  EXPECT_FALSE(figures.contains("efficiency"));
  EXPECT_EQ(analyse_intel("dpas.8x8(8) g1<1>F g2<1>F g3<1>HF g4<1>HF\n").outside.matrix, 1);
  EXPECT_EQ(analyse_nvidia("block 0 L0 [] -> {\nr0..4 = hmma.m16n8k16.f32 r4..8 r8..10 r0..4\n}\n")
                .outside.matrix,
            1);
}

/// A loop with these instructions of its own.
Loop loop_of(std::size_t first, std::size_t last, const Instructions& own, int parent = -1) {
  Loop loop;
  loop.first = first;
  loop.last = last;
  loop.parent = parent;
  loop.own = loop.whole = own;
  return loop;
}

vulkan::Launch rows_launch(std::uint32_t lanes, std::uint32_t units, std::uint32_t queries) {
  vulkan::Launch launch;
  launch.shader = vulkan::Shader::attention_rows;
  launch.specialization = {{BX_ATTENTION_ALIGNED, 1},
                           {BX_ATTENTION_LANES, lanes},
                           {BX_ATTENTION_UNITS, units},
                           {BX_ATTENTION_SHARED, 2},
                           {BX_ATTENTION_ROWS_QUERIES, queries},
                           {BX_ATTENTION_ROWS_TILE_KEYS, 32}};
  return launch;
}

TEST(Figures, AttentionCountsTheLoopOverKeysThatAllQueriesSee) {
  const KernelFacts facts = facts_of(rows_launch(4, 4, 1));
  EXPECT_EQ(facts.format, "d64");
  EXPECT_EQ(facts.products, 256u);  // 8 keys and values of 16 elements in each lane
  EXPECT_EQ(facts_of(rows_launch(4, 4, 4)).products, 512u);  // 4 keys for 4 queries
  PipelineCode pipeline;
  pipeline.code.loops = {
      // The loop that loads a tile, that over keys, that with a mask, and one that merges.
      loop_of(0, 9, {.all = 40, .vector = 34, .local = 2, .memory = 3, .buffer_bytes = 16}),
      loop_of(10, 19, {.all = 482, .vector = 352, .products = 273, .local = 64}),
      loop_of(20, 29, {.all = 710, .vector = 527, .products = 273, .local = 64}),
      loop_of(30, 39, {.all = 90, .vector = 80, .products = 24, .local = 12})};
  EXPECT_DOUBLE_EQ(figures_of(pipeline, facts).at("efficiency"), 256.0 / 352);
  // Without a loop that has all products, there is no figure, and a budget fails.
  pipeline.code.loops.erase(pipeline.code.loops.begin() + 1, pipeline.code.loops.begin() + 3);
  EXPECT_FALSE(figures_of(pipeline, facts).contains("efficiency"));
}

TEST(Figures, SplitAttentionCountsTheLoopThatLoadsKeys) {
  vulkan::Launch launch;
  launch.shader = vulkan::Shader::attention_split;
  launch.specialization = {{BX_ATTENTION_ALIGNED, 0},
                           {BX_ATTENTION_LANES, 2},
                           {BX_ATTENTION_UNITS, 4},
                           {BX_ATTENTION_SHARED, 2}};
  const KernelFacts facts = facts_of(launch);
  EXPECT_EQ(facts.format, "d32_any");
  EXPECT_EQ(facts.products, 64u);
  PipelineCode pipeline;
  pipeline.code.loops = {
      loop_of(0, 9, {.vector = 215, .products = 102, .memory = 5, .buffer_bytes = 40}),
      loop_of(10, 19, {.vector = 641, .products = 70, .local = 81})};  // merges
  EXPECT_DOUBLE_EQ(figures_of(pipeline, facts).at("efficiency"), 64.0 / 215);
}

vulkan::Launch scan_launch(std::uint32_t lanes, std::uint32_t rows_ahead) {
  vulkan::Launch launch;
  launch.shader = vulkan::Shader::selective_scan_dt;
  launch.specialization = {{BX_SELECTIVE_SCAN_D_STATE, 16},
                           {BX_SELECTIVE_SCAN_LANES, lanes},
                           {BX_SELECTIVE_SCAN_ROWS_AHEAD, rows_ahead}};
  return launch;
}

TEST(Figures, AScanHasInstructionsForEachRow) {
  const KernelFacts facts = facts_of(scan_launch(4, 4));
  EXPECT_EQ(facts.format, "n16");
  EXPECT_EQ(facts.block_rows, 4u);
  EXPECT_EQ(facts_of(scan_launch(2, 1)).block_rows, 1u);
  PipelineCode pipeline;
  pipeline.group_size = 64;
  pipeline.code.loops = {
      // The loop that multiplies the weight of the time step, that over rows, and one without y.
      loop_of(0, 9, {.vector = 436, .memory = 24, .buffer_bytes = 64, .address_bytes = 64}),
      loop_of(10, 99, {.vector = 350, .memory = 11, .buffer_bytes = 140}),
      loop_of(100, 109, {.vector = 300, .memory = 6, .buffer_bytes = 70})};
  EXPECT_DOUBLE_EQ(figures_of(pipeline, facts).at("per_row"), 350.0 / 4);
  // 64 lanes compute the norms of B and of C of 32 rows at a time, 16 states in a turn.
  pipeline.code.loops.push_back(loop_of(20, 49, {.vector = 40}, 1));
  pipeline.code.loops[3].whole.address_bytes = 4;
  pipeline.code.loops.push_back(loop_of(30, 39, {.vector = 80, .address_bytes = 4}, 3));
  EXPECT_DOUBLE_EQ(figures_of(pipeline, facts).at("per_row"), (350 + 120.0 / 8) / 4);
  // Without unrolling, two rows of a block at a time are a loop.
  pipeline.code.loops.push_back(loop_of(60, 69, {.vector = 100, .buffer_bytes = 32}, 1));
  EXPECT_DOUBLE_EQ(figures_of(pipeline, facts_of(scan_launch(4, 2))).at("per_row"),
                   (350 + 120.0 / 8 + 2 * 100) / 4);
}

TEST(Figures, ACrashHasNoOtherFigure) {
  PipelineCode pipeline;
  pipeline.crashed = true;
  EXPECT_EQ(figures_of(pipeline, {}), (Figures{{"crashes", 1}}));
}

TEST(KernelFacts, NameKernelAndFormat) {
  vulkan::Launch launch;
  launch.shader = vulkan::Shader::product_vec;
  launch.specialization = {{BX_PRODUCT_VEC_FORM, BX_Q4 | 1U << 8 | 64U << 9},
                           {BX_PRODUCT_VEC_NORM_FORM, BX_F32},
                           {BX_PRODUCT_VEC_OUTS, 4},
                           {BX_PRODUCT_VEC_ROWS, 2},
                           {BX_PRODUCT_VEC_UP_FORM, BX_FORM_ABSENT},
                           {BX_PRODUCT_VEC_X_QUADS, 1}};
  const KernelFacts facts = facts_of(launch);
  EXPECT_EQ(facts.kernel, "product_vec+norm");
  EXPECT_EQ(facts.format, "q4_g64");
  EXPECT_EQ(facts.rows, 2u);
  EXPECT_EQ(facts.outs, 4u);
  EXPECT_EQ(constants_text(launch).substr(0, 2), "1=");
  launch.specialization.push_back({BX_PRODUCT_VEC_HAS_BIAS, 1});
  EXPECT_NE(constants_text(launch).find("7=1"), std::string::npos);
  EXPECT_EQ(main_constants_text(launch).find("7=1"), std::string::npos);
  launch.specialization[4].value = BX_F16;
  EXPECT_EQ(facts_of(launch).format, "mixed");
  EXPECT_EQ(form_name(BX_NF4 | 1U << 7 | 64U << 9), "nf4_g64n_any");
  EXPECT_EQ(form_name(BX_FORM_ABSENT), "-");
  launch.shader = vulkan::Shader::product_vec_dots;
  launch.specialization.push_back({BX_PRODUCT_VEC_CODES, BX_CODES_AS_TWO_LIMBS});
  EXPECT_EQ(facts_of(launch).kernel, "product_vec_dots+norm+fast");
  launch.shader = vulkan::Shader::add;
  EXPECT_EQ(facts_of(launch).format, "-");
}

}  // namespace
}  // namespace bitaxon::gpu_code
