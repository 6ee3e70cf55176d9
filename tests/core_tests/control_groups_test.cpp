// Tests of the memory and core limits that are read from system files. The tests write these system
// files themselves.
#include "platform/control_groups.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "platform/cpu_info.h"
#include "platform/host_memory.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
/// What the files of control groups version 1 hold if there is no limit.
constexpr const char* kNoLimit = "9223372036854771712";

/// The system files of a machine with 8 GiB of available memory and no control groups. Each test
/// adds the control groups that it needs.
class SystemFiles : public testing::Test {
 protected:
  SystemFiles() {
    write("proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\n");
    write("proc/self/status", "Name:\tx\nVmSize:\t  102400 kB\nVmData:\t  51200 kB\n");
    write_limits("unlimited", "unlimited");
  }
  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void write_limits(const std::string& address_space, const std::string& data) const {
    const auto line = [](std::string name, const std::string& soft) {
      name.resize(26, ' ');
      return name + soft + std::string(21 - soft.size(), ' ') + "unlimited            bytes\n";
    };
    write("proc/self/limits", "Limit                     Soft Limit           Hard Limit\n" +
                                  line("Max data size", data) +
                                  line("Max address space", address_space));
  }
  /// Mounts control groups version 2. The group `mounted` is mounted at /sys/fs/cgroup, and this
  /// process belongs to the group `own`.
  void mount_version_2(const std::string& mounted, const std::string& own) const {
    write("proc/self/mountinfo", "20 1 0:5 / /proc rw,nosuid shared:5 - proc proc rw\n31 23 0:27 " +
                                     mounted + " /sys/fs/cgroup rw,nosuid shared:9 master:1 - " +
                                     "cgroup2 cgroup2 rw,nsdelegate\n");
    write("proc/self/cgroup", "0::" + own + "\n");
  }
  /// Mounts control groups version 1 as systemd does, together with an empty hierarchy of version
  /// 2.
  void mount_version_1(const std::string& mounted, const std::string& own) const {
    write("proc/self/mountinfo",
          "41 31 0:38 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n"
          "32 31 0:29 " +
              mounted +
              " /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
              "35 31 0:32 " +
              mounted +
              " /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
              "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n");
    write("proc/self/cgroup",
          "9:name=systemd:/x\n4:memory:" + own + "\n1:cpu,cpuacct:" + own + "\n0::/x\n");
  }
  void write_group_2(const std::string& folder, const std::string& max, std::uint64_t usage,
                     std::uint64_t page_cache = 0, const std::string& high = "max") const {
    const std::string base = "sys/fs/cgroup" + folder;
    write(base + "/memory.max", max + "\n");
    write(base + "/memory.high", high + "\n");
    write(base + "/memory.current", std::to_string(usage) + "\n");
    write(base + "/memory.stat", "anon 5\nfile 99999999\ninactive_anon 7\ninactive_file " +
                                     std::to_string(page_cache / 2) + "\nactive_file " +
                                     std::to_string(page_cache - page_cache / 2) + "\n");
  }
  void write_group_1(const std::string& folder, const std::string& limit, std::uint64_t usage,
                     std::uint64_t page_cache = 0,
                     const std::string& limit_of_all = kNoLimit) const {
    const std::string base = "sys/fs/cgroup/memory" + folder;
    write(base + "/memory.limit_in_bytes", limit + "\n");
    write(base + "/memory.usage_in_bytes", std::to_string(usage) + "\n");
    write(base + "/memory.stat", "inactive_file 1\nactive_file 1\nhierarchical_memory_limit " +
                                     limit_of_all + "\ntotal_inactive_file " +
                                     std::to_string(page_cache) + "\ntotal_active_file 0\n");
  }
  std::uint64_t available_mib() const {
    return available_memory_bytes(folder_.path()).value() / kMiB;
  }
  double cores() const { return cores_of_control_groups(folder_.path()); }
  /// The absolute paths of the groups' folders, from the innermost group outward.
  std::vector<std::string> groups(const std::string& controller = "memory") const {
    std::vector<std::string> names;
    for (const ControlGroup& group : control_groups(controller, folder_.path()))
      names.push_back("/" + group.folder.lexically_relative(folder_.path()).generic_string());
    return names;
  }

  TemporaryFolder folder_;
};

using Names = std::vector<std::string>;

TEST_F(SystemFiles, WithoutGroupsUsesTheMemoryOfTheSystem) {
  EXPECT_EQ(available_mib(), 8192U);
  EXPECT_EQ(groups(), Names());
  EXPECT_TRUE(std::isinf(cores()));
  std::filesystem::remove_all(folder_ / "proc");
  EXPECT_EQ(available_memory_bytes(folder_.path()), std::nullopt);
}

TEST_F(SystemFiles, AppliesLimitsOfEnclosingGroups) {
  mount_version_2("/", "/a.slice/b c/d:e");
  EXPECT_EQ(groups(), (Names{"/sys/fs/cgroup/a.slice/b c/d:e", "/sys/fs/cgroup/a.slice/b c",
                             "/sys/fs/cgroup/a.slice", "/sys/fs/cgroup"}));
  write_group_2("/a.slice", std::to_string(1000 * kMiB), 300 * kMiB);
  write_group_2("/a.slice/b c", "max", 250 * kMiB);
  write_group_2("/a.slice/b c/d:e", std::to_string(900 * kMiB), 100 * kMiB);
  EXPECT_EQ(available_mib(), 700U) << "/a.slice has the least memory left";
  write_group_2("/a.slice/b c/d:e", std::to_string(600 * kMiB), 100 * kMiB);
  EXPECT_EQ(available_mib(), 500U);
}

TEST_F(SystemFiles, AContainerSeesItsGroupAsTheRoot) {
  mount_version_2("/", "/");
  write_group_2("", std::to_string(512 * kMiB), 112 * kMiB);
  EXPECT_EQ(available_mib(), 400U);
  // If the container shares the host's namespace, its group has the path that it has on the host, but
  // is still mounted at /sys/fs/cgroup.
  mount_version_2("/docker/0123", "/docker/0123");
  EXPECT_EQ(available_mib(), 400U);
  mount_version_2("/docker/0123", "/docker/0123/inner");
  write_group_2("/inner", std::to_string(256 * kMiB), 56 * kMiB);
  EXPECT_EQ(available_mib(), 200U);
}

TEST_F(SystemFiles, ReadsAMountThatEnclosesTheNamespace) {
  mount_version_2("/../..", "/");
  write_group_2("", std::to_string(512 * kMiB), 112 * kMiB);
  EXPECT_EQ(available_mib(), 400U);
  mount_version_2("/../..", "/../inner");
  EXPECT_EQ(available_mib(), 400U);
}

TEST_F(SystemFiles, IgnoresGroupsOfOtherProcesses) {
  write_group_2("", std::to_string(512 * kMiB), 112 * kMiB);
  for (const auto& [mounted, own] :
       {std::pair("/other", "/own"), std::pair("/", "/../sibling"), std::pair("/own/x", "/own"),
        std::pair("/ownership", "/own"), std::pair("/../other", "/")}) {
    mount_version_2(mounted, own);
    EXPECT_EQ(groups(), Names()) << mounted << " " << own;
    EXPECT_EQ(available_mib(), 8192U);
  }
}

TEST_F(SystemFiles, ReadsAHierarchyThatIsMountedTwice) {
  write("proc/self/mountinfo",
        "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
        "32 23 0:27 /../.. /host-groups rw - cgroup2 cgroup2 rw\n");
  write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(groups(), (Names{"/sys/fs/cgroup", "/host-groups"}));
  write_group_2("", std::to_string(512 * kMiB), 112 * kMiB);
  EXPECT_EQ(available_mib(), 400U);
}

TEST_F(SystemFiles, IgnoresUsageWithoutALimit) {
  mount_version_2("/", "/a");
  write_group_2("/a", "max", 8000 * kMiB);
  EXPECT_EQ(available_mib(), 8192U);
}

TEST_F(SystemFiles, PageCacheCountsAsAvailable) {
  mount_version_2("/", "/a");
  write_group_2("/a", std::to_string(512 * kMiB), 500 * kMiB, 480 * kMiB);
  EXPECT_EQ(available_mib(), 492U);
  // The size of the page cache may exceed the usage, because the two files are not read at the same
  // time.
  write_group_2("/a", std::to_string(512 * kMiB), 500 * kMiB, 600 * kMiB);
  EXPECT_EQ(available_mib(), 512U);
}

TEST_F(SystemFiles, ReportsNoAvailableMemoryIfUsageExceedsTheLimit) {
  mount_version_2("/", "/a");
  write_group_2("/a", std::to_string(512 * kMiB), 600 * kMiB);
  EXPECT_EQ(available_memory_bytes(folder_.path()), 0U);
  write_group_2("/a", "0", 0);
  EXPECT_EQ(available_memory_bytes(folder_.path()), 0U);
}

TEST_F(SystemFiles, TreatsMemoryHighAsALimit) {
  mount_version_2("/", "/a");
  write_group_2("/a", "max", 100 * kMiB, 0, std::to_string(300 * kMiB));
  EXPECT_EQ(available_mib(), 200U);
}

TEST_F(SystemFiles, ReadsVersion1DespiteAnEmptyVersion2) {
  mount_version_1("/", "/docker/0123");
  EXPECT_EQ(groups(),
            (Names{"/sys/fs/cgroup/memory/docker/0123", "/sys/fs/cgroup/memory/docker",
                   "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified/x", "/sys/fs/cgroup/unified"}));
  write_group_1("/docker/0123", std::to_string(512 * kMiB), 300 * kMiB, 100 * kMiB);
  write_group_1("/docker", kNoLimit, 700 * kMiB);
  EXPECT_EQ(available_mib(), 312U);
  // In a container, the root of the mount is the container's own group.
  mount_version_1("/docker/0123", "/docker/0123");
  write_group_1("", std::to_string(512 * kMiB), 400 * kMiB);
  EXPECT_EQ(available_mib(), 112U);
}

TEST_F(SystemFiles, Version1ReportsTheLowestLimitOfHiddenGroups) {
  mount_version_1("/pod/container", "/pod/container");
  write_group_1("", kNoLimit, 100 * kMiB, 0, std::to_string(256 * kMiB));
  EXPECT_EQ(available_mib(), 156U);
}

TEST_F(SystemFiles, Version1IgnoresOuterGroupsWithoutUseHierarchy) {
  mount_version_1("/", "/a/b");
  write_group_1("/a", std::to_string(512 * kMiB), 500 * kMiB);
  EXPECT_EQ(available_mib(), 12U);
  write("sys/fs/cgroup/memory/a/memory.use_hierarchy", "0\n");
  EXPECT_EQ(available_mib(), 8192U);
  write("sys/fs/cgroup/memory/a/memory.use_hierarchy", "1\n");
  EXPECT_EQ(available_mib(), 12U);
  mount_version_1("/", "/a");
  write("sys/fs/cgroup/memory/a/memory.use_hierarchy", "0\n");
  EXPECT_EQ(available_mib(), 12U) << "the process's own group always counts";
}

TEST_F(SystemFiles, AppliesLimitsOfTheProcess) {
  write_limits(std::to_string(400 * kMiB), "unlimited");
  EXPECT_EQ(available_mib(), 300U);
  write_limits(std::to_string(400 * kMiB), std::to_string(150 * kMiB));
  EXPECT_EQ(available_mib(), 100U);
  write_limits(std::to_string(50 * kMiB), "unlimited");
  EXPECT_EQ(available_mib(), 0U);
}

TEST_F(SystemFiles, ReadsNamesWithBlanksAndBackslashes) {
  write("proc/self/mountinfo", "31 23 0:27 / /a\\040b\\134c rw - cgroup2 cgroup2 rw\n");
  write("proc/self/cgroup", "0::/d\n");
  EXPECT_EQ(groups(), (Names{"/a b\\c/d", "/a b\\c"}));
}

TEST_F(SystemFiles, IgnoresMalformedLines) {
  write("proc/self/mountinfo",
        "\n - \nx - cgroup2\n1 2 3 - cgroup2 a b\n31 23 0:27 / /m rw - cgroup2\nx\n1 2 3 4 5 -\n");
  write("proc/self/cgroup", "\n0\n0:\n::\n0::/a\n:::::\n");
  for (const std::string& group : groups()) EXPECT_EQ(group.rfind("/m", 0), 0U) << group;
  write("proc/meminfo", "MemAvailable:\nMemAvailableX: 5 kB\n");
  EXPECT_EQ(available_memory_bytes(folder_.path()), std::nullopt);
}

TEST_F(SystemFiles, ReadsCoreLimitsOfControlGroupsOfBothVersions) {
  mount_version_2("/", "/a/b");
  write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(cores(), 1.5);
  mount_version_1("/docker/0123", "/docker/0123/a");
  EXPECT_TRUE(std::isinf(cores()));
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_TRUE(std::isinf(cores()));
  write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n");
  write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cores(), 0.5);
}

TEST(HostMemory, IsKnownOnThisMachine) {
  ASSERT_TRUE(available_memory_bytes().has_value());
  EXPECT_LE(*available_memory_bytes(), total_memory_bytes());
  EXPECT_GT(resident_bytes(), 0U);
  EXPECT_GE(peak_resident_bytes(), resident_bytes() / 2);
  EXPECT_GE(usable_cores(), 1);
}

}  // namespace
}  // namespace bitaxon::test
