/* The floor: the least that a worker must do for each run, N runs of `sh -c CMD`, P at once.
 *
 *     floor [-d] N P FOLDER CMD
 *
 * For each run: an attempt's directory with a results directory, files for stdout and stderr, a shell in a session
 * and an environment of its own with /dev/null as standard input, its status in the file status_code, and one rename
 * that makes the attempt's directory the run's: FOLDER/0 to FOLDER/N-1.
 *
 * With -d, data is on disk before the rename: finished attempts wait for one syncfs a group, in a thread of their
 * own, so that the next run never waits for the disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, GROUP_MS = 50 };

extern char **environ;

struct slot { /* one per rank */
    pid_t pid; /* 0: free */
    int run;
};

static const char *folder;
static const char *command;
static int devnull;

/* The attempts that wait for the disk: `order` lists them as they finished. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int *order;
    int finished;
    bool closed; /* nothing will be added */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void check(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

__attribute__((format(printf, 2, 3))) static char *format(char *buffer, const char *pattern, ...) {
    va_list values;
    va_start(values, pattern);
    int length = vsnprintf(buffer, PATH_SIZE, pattern, values);
    va_end(values);
    check(length < PATH_SIZE, "path too long");
    return buffer;
}

static char *attempt_path(char *buffer, int run, const char *file) {
    return format(buffer, "%s/.pydoit_sc/attempts/%d%s", folder, run, file);
}

static void publish(int run) {
    char from[PATH_SIZE], to[PATH_SIZE];
    attempt_path(from, run, "");
    format(to, "%s/%d", folder, run);
    check(rename(from, to) == 0, to);
}

static int create(int run, const char *file) {
    char path[PATH_SIZE];
    int fd = open(attempt_path(path, run, file), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    check(fd >= 0, path);
    return fd;
}

/* The worker's environment and three more. The first three places of `environment` are for them. */
static pid_t spawn(int run, int rank, char **environment, int out, int err) {
    char rank_variable[64], results[PATH_SIZE], remote[PATH_SIZE];
    environment[0] = format(rank_variable, "SATURN_RUN_LOCAL_RANK=%d", rank);
    environment[1] = format(results, "SATURN_RUN_LOCAL_RESULTS_DIR=%s/.pydoit_sc/attempts/%d/results/", folder, run);
    environment[2] = format(remote, "SATURN_RUN_REMOTE_OUTPUT_PATH=file://%s/%d", folder, run);

    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, devnull, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, err, 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);

    char *argv[] = {"sh", "-c", (char *)command, NULL};
    pid_t pid;
    errno = posix_spawn(&pid, "/bin/sh", &files, &attributes, argv, environment);
    check(errno == 0, "posix_spawn");
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return pid;
}

static pid_t start(int run, int rank, char **environment) {
    char path[PATH_SIZE];
    check(mkdir(attempt_path(path, run, ""), 0777) == 0, path);
    check(mkdir(attempt_path(path, run, "/results"), 0777) == 0, path);
    int out = create(run, "/stdout");
    int err = create(run, "/stderr");
    pid_t pid = spawn(run, rank, environment, out, err);
    close(out);
    close(err);
    return pid;
}

static void write_status(int run, int status) {
    char text[16];
    int length = sprintf(text, "%d", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    int fd = create(run, "/status_code");
    check(write(fd, text, length) == length, "status_code");
    close(fd);
}

static void enqueue(int run) {
    pthread_mutex_lock(&queue.lock);
    queue.order[queue.finished++] = run;
    pthread_cond_signal(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

/* Let a group gather for GROUP_MS, or until no more will come. */
static void gather(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += GROUP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (!queue.closed && pthread_cond_timedwait(&queue.changed, &queue.lock, &until) != ETIMEDOUT) {
    }
}

static void *publish_groups(void *unused) {
    int disk = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(disk >= 0, folder);
    int published = 0;
    for (;;) {
        pthread_mutex_lock(&queue.lock);
        while (queue.finished == published && !queue.closed)
            pthread_cond_wait(&queue.changed, &queue.lock);
        gather();
        int finished = queue.finished;
        pthread_mutex_unlock(&queue.lock);
        if (finished == published)
            break;
        check(syncfs(disk) == 0, "syncfs");
        while (published < finished)
            publish(queue.order[published++]);
    }
    close(disk);
    return unused;
}

/* Wait for one run to end, and finish it. */
static void reap(struct slot *slots, int nprocs, bool durable) {
    int status;
    struct rusage usage;
    pid_t pid = wait4(-1, &status, 0, &usage);
    check(pid > 0, "wait4");
    int rank = 0;
    while (rank < nprocs && slots[rank].pid != pid)
        rank++;
    check(rank < nprocs, "a child of nobody");
    slots[rank].pid = 0;
    write_status(slots[rank].run, status);
    if (durable)
        enqueue(slots[rank].run);
    else
        publish(slots[rank].run);
}

static int lowest_free(const struct slot *slots) {
    int rank = 0;
    while (slots[rank].pid)
        rank++;
    return rank;
}

static void execute(int runs, int nprocs, char **environment, bool durable) {
    struct slot *slots = calloc(nprocs, sizeof *slots);
    check(slots != NULL, "memory");
    int running = 0;
    for (int run = 0; run < runs; run++) {
        if (running == nprocs) {
            reap(slots, nprocs, durable);
            running--;
        }
        int rank = lowest_free(slots);
        slots[rank] = (struct slot){.pid = start(run, rank, environment), .run = run};
        running++;
    }
    while (running--)
        reap(slots, nprocs, durable);
    free(slots);
}

static char **copy_environment(void) {
    size_t count = 0;
    while (environ[count])
        count++;
    char **copy = malloc((count + 4) * sizeof *copy);
    check(copy != NULL, "memory");
    memcpy(copy + 3, environ, (count + 1) * sizeof *copy);
    return copy;
}

static void prepare(void) {
    char path[PATH_SIZE];
    mkdir(folder, 0777);
    mkdir(format(path, "%s/.pydoit_sc", folder), 0777);
    check(mkdir(format(path, "%s/.pydoit_sc/attempts", folder), 0777) == 0, path);
    devnull = open("/dev/null", O_RDONLY | O_CLOEXEC);
    check(devnull >= 0, "/dev/null");
}

int main(int argc, char **argv) {
    bool durable = argc == 6 && strcmp(argv[1], "-d") == 0;
    if (argc - durable != 5) {
        fprintf(stderr, "usage: floor [-d] N P FOLDER CMD\n");
        return 3;
    }
    argv += durable;
    int runs = atoi(argv[1]), nprocs = atoi(argv[2]);
    folder = argv[3];
    command = argv[4];
    prepare();
    char **environment = copy_environment();
    pthread_t publisher;
    if (durable) {
        queue.order = malloc(runs * sizeof *queue.order);
        check(queue.order != NULL, "memory");
        errno = pthread_create(&publisher, NULL, publish_groups, NULL);
        check(errno == 0, "pthread_create");
    }
    execute(runs, nprocs, environment, durable);
    if (durable) {
        pthread_mutex_lock(&queue.lock);
        queue.closed = true;
        pthread_cond_signal(&queue.changed);
        pthread_mutex_unlock(&queue.lock);
        pthread_join(publisher, NULL);
    }
    free(queue.order);
    free(environment);
    return 0;
}
