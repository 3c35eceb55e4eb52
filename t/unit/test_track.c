/* What leads to a file is replaced in each way that administrators and programs have. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/track.h"

#include "test.h"

static char dir[100];

/* Those that begin with "!" change nothing; "?" is seen without a chroot only; "+": track_entries.
 */
static const struct {
    const char *path, *change;
} cases[] = {
    {"etc/file", "echo x >etc/new && mv etc/new etc/file"},
    {"etc/file", "cp -p etc/file etc/keep; echo y >>etc/file"},
    {"etc/file", "ln etc/file etc/other && cp etc/file etc/new && mv etc/new etc/file"},
    {"etc/file", "rm etc/file"},
    {"live/cert", "ln -s ../archive/cert2 live/new && mv -T live/new live/cert"},
    {"live/cert", "rm live/cert && ln -s ../archive/cert2 live/cert"},
    {"live/cert", "cp archive/cert2 archive/new && mv archive/new archive/cert1"},
    {"current/file", "ln -s other new && mv -T new current"},
    {"chain/file", "ln -s other new && mv -T new current"},
    {"whole/file", "ln -sfn $PWD/other whole"},
    {"?etc/file", "cp -a etc etc.new && mv etc etc.old && mv etc.new etc"},
    {"!etc", "echo x >etc/beside"},
    {"?+etc", "echo x >etc/beside"},
    {"!etc/file", "echo x >etc/beside && mkdir etc/below"},
    {"!live/cert", "echo x >archive/cert3 && ln -s ../archive/cert3 live/key"},
    {"!etc/file", "mv etc etc.old"}, /* nothing else is there yet */
};

static void make_files(void)
{
    char commands[1000];

    snprintf(dir, sizeof dir, "/tmp/test_track.%d", (int)getpid());
    snprintf(commands, sizeof commands,
             "rm -rf %s && mkdir %s && cd %s && mkdir etc other live archive empty && "
             "echo x | tee etc/file other/file archive/cert1 archive/cert2 >/dev/null && "
             "ln -s ../archive/cert1 live/cert && ln -s etc current && ln -s ./current/../current "
             "chain && ln -s $PWD/etc whole",
             dir, dir, dir);
    assert_int_equal(system(commands), 0); // NOLINT: of this test
    assert_int_equal(chdir(dir), 0);
}

static void remove_files(void)
{
    char command[200];

    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0); // NOLINT: of this test
}

/* The child looks, in a chroot or not, before and after. */
static bool child_sees(size_t i, const char *path, bool in_chroot)
{
    struct track t = {0};
    int to[2], from[2], status;
    char c = 0;

    assert_true(pipe(to) == 0 && pipe(from) == 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool ok = track_begin(&t, path + (*path == '+'));
        if (*path == '+')
            track_entries(&t);
        ok = ok && (!in_chroot || chroot("empty") == 0) && !track_changed(&t) &&
             write(from[1], "r", 1) == 1 && read(to[0], &c, 1) == 1;
        _exit(!ok ? 2 : track_changed(&t));
    }
    close(from[1]);
    assert_int_equal(read(from[0], &c, 1), 1);
    assert_int_equal(system(cases[i].change), 0); // NOLINT: of this test
    assert_int_equal(write(to[1], "g", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(to[0]);
    close(to[1]);
    close(from[0]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 1;
}

static void look(bool in_chroot)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = cases[i].path;
        bool wanted = *path != '!' && (*path != '?' || !in_chroot);
        make_files();
        if (child_sees(i, path + (*path == '!' || *path == '?'), in_chroot) != wanted)
            fail_msg("%s: %s", path, cases[i].change);
        remove_files();
    }
}

TEST(what_leads_to_a_file_is_seen_to_change)
{
    look(false);
}

TEST(in_a_chroot_too)
{
    if (geteuid() == 0)
        look(true);
}

TEST(what_leads_to_nothing_is_empty)
{
    static const char *const paths[] = {"nosuch", "nosuch/file", "loop", "etc/file/x", ""};
    struct track t = {0};

    make_files();
    assert_int_equal(symlink("loop", "loop"), 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (*paths[i] != 0)
            assert_false(track_begin(&t, paths[i]));
        assert_false(track_changed(&t));
        track_end(&t);
    }
    remove_files();
}

static void change(const char *command)
{
    assert_int_equal(system(command), 0); // NOLINT: of this test
}

TEST(a_glance_sees_links_at_once_and_directories_within_a_second)
{
    struct track t = {0}, link = {0};

    make_files();
    assert_true(track_begin(&t, "etc/file") && track_begin(&link, "current/file"));
    assert_false(track_glance(&t, 5000) || track_glance(&link, 5000));
    change("cp -a etc etc.new && mv etc etc.old && mv etc.new etc");
    assert_false(track_glance(&t, 5999));
    assert_true(track_glance(&t, 6000));
    change("ln -s other new && mv -T new current");
    assert_true(track_glance(&link, 5001));
    track_end(&t);
    track_end(&link);
    remove_files();
}

RUN_TESTS(T(a_glance_sees_links_at_once_and_directories_within_a_second),
          T(what_leads_to_a_file_is_seen_to_change), T(in_a_chroot_too),
          T(what_leads_to_nothing_is_empty))
