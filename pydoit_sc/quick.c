/* What is done most, quickly: to start programs, for worker/starter.py, to see and write the files of an attempt that has
 * ended, for worker/lastfiles.py, and to tell which runs are current, for store/currents.py.
 *
 * A program is started in a session of its own, without waiting until it is loaded. posix_spawn lends the child our
 * memory, by CLONE_VM, and lets us sleep until the child has its program, by CLONE_VFORK: hundreds of microseconds in
 * which the worker starts and finishes nothing. Here the child borrows our memory, too, but we go on. So all that it
 * reads and writes until then, its stack, words, environment and paths, is in a `struct start` of its own, which is left
 * alone until the kernel says, by CLONE_CHILD_CLEARTID, that the child has left our memory: it has its program, or it
 * has ended. A start that has failed leaves its error there, and the child ends.
 *
 * Such a child makes system calls, and nothing else: what the C library keeps, `errno` for one, is ours. All signals are
 * blocked from before the clone until their handlers, which are ours, too, are gone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(__x86_64__) || !defined(__LP64__)
#error "x86-64 only: elsewhere posix_spawn is used"
#endif

/* Linux takes words and environment of 128 KiB, with a pointer for each, whatever its limits are. */
enum { STACK_SIZE = 1 << 14, MOST = 100000, LAST_SIGNAL = 64, SET_SIZE = 8 };

#define TEXT(name) #name
#define TEXT_OF(name) TEXT(name)
#ifndef SOURCE_DIGEST
#define SOURCE_DIGEST unknown
#endif
const char source_digest[] = TEXT_OF(SOURCE_DIGEST); /* a library of another version is not used */

struct action { /* the kernel's, not the C library's */
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

struct start {
    struct start *next;
    pid_t borrowed; /* not 0 while the child is in our memory */
    int error;      /* why it could not start, until that is asked for */
    pid_t pid;
    char *stack;
    char *buffer; /* all strings, and then the pointers to words and environment */
    size_t size;
    char **words;
    char **environment;
    const char *out;
    const char *err;
};

static struct start *starts;

static long call(long number, long a, long b, long c, long d) {
    long result;
    register long fourth __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}

/* Open a file as a descriptor of this number. */
static long place(int target, const char *path, int flags) {
    long fd = call(SYS_openat, AT_FDCWD, (long)path, flags, 0644);
    if (fd < 0 || fd == target)
        return fd;
    long result = call(SYS_dup2, fd, target, 0, 0);
    call(SYS_close, fd, 0, 0, 0);
    return result;
}

/* Leave no handler; what is ignored stays so, but for what Python ignores, and a shell that starts a worker in the background. */
static void reset_signals(void) {
    struct action none = {0}, was = {0};
    for (int number = 1; number <= LAST_SIGNAL; number++) {
        if (call(SYS_rt_sigaction, number, 0, (long)&was, SET_SIZE) < 0 || was.handler == SIG_DFL)
            continue;
        if (was.handler != SIG_IGN || number == SIGPIPE || number == SIGXFSZ || number == SIGINT || number == SIGQUIT ||
            number == SIGTERM)
            call(SYS_rt_sigaction, number, (long)&none, 0, SET_SIZE);
    }
}

static int child(void *argument) {
    struct start *start = argument;
    unsigned long nothing = 0;
    reset_signals();
    long result = place(0, "/dev/null", O_RDONLY);
    if (result >= 0)
        result = place(1, start->out, O_WRONLY | O_CREAT | O_APPEND);
    if (result >= 0)
        result = place(2, start->err, O_WRONLY | O_CREAT | O_APPEND);
    if (result >= 0)
        result = call(SYS_setsid, 0, 0, 0, 0);
    if (result >= 0)
        result = call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&nothing, 0, SET_SIZE);
    if (result >= 0)
        result = call(SYS_execve, (long)start->words[0], (long)start->words, (long)start->environment, 0);
    start->error = (int)-result;
    call(SYS_exit_group, 127, 0, 0, 0);
    return 0;
}

static int is_borrowed(const struct start *start) { return __atomic_load_n(&start->borrowed, __ATOMIC_ACQUIRE) != 0; }

/* Return a start that nobody uses, with a buffer of this size; NULL without memory. */
static struct start *take(size_t size) {
    struct start *start = starts;
    while (start && (is_borrowed(start) || start->error))
        start = start->next;
    if (!start) {
        if (!(start = calloc(1, sizeof *start)))
            return NULL;
        start->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (start->stack == MAP_FAILED) {
            free(start);
            return NULL;
        }
        start->next = starts;
        starts = start;
    }
    if (start->size < size) {
        free(start->buffer);
        start->size = (start->buffer = malloc(size)) ? size : 0;
    }
    return start->buffer ? start : NULL;
}

static size_t count(const char *strings, size_t size) {
    size_t number = 0;
    for (size_t i = 0; i < size; i++)
        number += strings[i] == '\0';
    return number;
}

/* Point at each of some strings that follow each other, and at nothing behind the last. */
static char **point(char **pointers, char *strings, size_t size) {
    for (char *at = strings; at < strings + size; at += strlen(at) + 1)
        *pointers++ = at;
    *pointers++ = NULL;
    return pointers;
}

/* Start a program; `words`, of which the first is its path, and the variables of its environment, which come in two
 * parts, are strings that each end with a zero byte.
 *
 * Returns its pid; 0 where this is not the way: too much text for one that is sure to be taken, or a system without such
 * clones; or else a negative errno. One thread at a time may call this, and the next two functions.
 */
int start_program(const char *words, size_t words_size, const char *common, size_t common_size, const char *own,
                  size_t own_size, const char *out, const char *err) {
    size_t out_size = strlen(out) + 1, err_size = strlen(err) + 1;
    size_t text = words_size + common_size + own_size + out_size + err_size;
    size_t aligned = (text + sizeof(char *) - 1) / sizeof(char *) * sizeof(char *);
    if (text > MOST)
        return 0;
    size_t pointers = count(words, words_size) + count(common, common_size) + count(own, own_size) + 2;
    if (text + pointers * sizeof(char *) > MOST)
        return 0;
    struct start *start = take(aligned + pointers * sizeof(char *));
    if (!start)
        return -ENOMEM;

    char *at = start->buffer;
    start->words = (char **)(at + aligned);
    memcpy(at, words, words_size);
    start->environment = point(start->words, at, words_size);
    memcpy(at += words_size, common, common_size);
    memcpy(at + common_size, own, own_size);
    point(start->environment, at, common_size + own_size);
    start->out = memcpy(at += common_size + own_size, out, out_size);
    start->err = memcpy(at + out_size, err, err_size);

    unsigned long all = ~0UL, before = 0;
    start->borrowed = 1;
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, SET_SIZE);
    int flags = CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD;
    pid_t pid = clone(child, start->stack + STACK_SIZE, flags, start, NULL, NULL, &start->borrowed);
    int error = errno;
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, SET_SIZE);
    start->pid = pid;
    if (pid > 0)
        return pid;
    start->borrowed = 0;
    return error == EINVAL || error == ENOSYS || error == EPERM ? 0 : -error;
}

/* Return the errno for which a child that has ended never had its program, once; 0 where it had. */
int start_error(pid_t pid) {
    for (struct start *start = starts; start; start = start->next)
        if (start->error && start->pid == pid) {
            int error = start->error;
            start->error = 0;
            return error;
        }
    return 0;
}

/* Return when all children have their programs, or have ended; or after so many milliseconds. */
void await_programs(int milliseconds) {
    const struct timespec pause = {0, 50000};
    for (struct start *start = starts; start; start = start->next)
        for (int tries = milliseconds * 20; is_borrowed(start) && tries > 0; tries--)
            nanosleep(&pause, NULL);
}

/* Return how many entries a folder has, with "." and ".."; or less than 0. */
static int count_entries(int folder) {
    char entries[2048] __attribute__((aligned(__alignof__(struct dirent64))));
    long size;
    int number = 0;
    while ((size = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
        for (long at = 0; at < size; at += ((struct dirent64 *)(entries + at))->d_reclen)
            number++;
    return size < 0 ? -1 : number;
}

/* Put the size of a regular file there, and return whether it is one. */
static int is_file(int folder, const char *name, long long *size) {
    struct stat found;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) || !S_ISREG(found.st_mode))
        return 0;
    *size = found.st_size;
    return 1;
}

/* Put the sizes of a folder's stdout and stderr there, and return whether that is sure to be all that it has but for
 * an empty results folder.
 */
int plain_sizes(const char *path, long long sizes[2]) {
    int plain = 0, results = -1, folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return 0;
    if (count_entries(folder) == 5 && is_file(folder, "stdout", &sizes[0]) && is_file(folder, "stderr", &sizes[1]) &&
        (results = openat(folder, "results", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
        plain = count_entries(results) == 2;
    if (results >= 0)
        close(results);
    close(folder);
    return plain;
}

/* Write a file that is not there yet; return 0, or a negative errno. */
int write_file(const char *path, const char *data, size_t size) {
    int error = 0, file = TEMP_FAILURE_RETRY(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (file < 0)
        return -errno;
    while (size && !error) { /* a disk that is nearly full takes a part */
        ssize_t written = TEMP_FAILURE_RETRY(write(file, data, size));
        if (written < 0) {
            error = -errno;
        } else {
            data += written;
            size -= written;
        }
    }
    if (close(file) && !error && errno != EINTR) /* on NFS, that there is no space left is said here */
        error = -errno;
    return error;
}

/* What is told of the outcome of a run: nothing, and Python looks at it; that there is none; that it is current. */
enum { UNTOLD, ABSENT, CURRENT };
enum { BLOCK = 1 << 16, LONGEST_KEY = 4000, LONGEST_ATTEMPT = 64 };

struct outcome {
    const char *attempt;
    size_t size; /* of the attempt */
    double seconds;
};

/* Return what follows a text; NULL where there is another one. */
static const char *skip(const char *at, const char *text) {
    size_t size = strlen(text);
    return at && !strncmp(at, text, size) ? at + size : NULL;
}

/* Return what follows a moment as a worker writes it, `1795703482.884`; NULL where there is another text. */
static const char *skip_moment(const char *at, long long *milliseconds) {
    *milliseconds = 0;
    for (int i = 0; at && i < 14; i++, at++) {
        if (i == 10 ? *at != '.' : *at < '0' || *at > '9')
            return NULL;
        if (i != 10)
            *milliseconds = 10 * *milliseconds + (*at - '0');
    }
    return at;
}

static int is_of_attempt(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static int is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

/* Return whether a run.json is plainly that of a completed run with this fingerprint, and put there what else it says. */
static int is_current(const char *text, const char *fingerprint, struct outcome *found) {
    long long started, ended;
    const char *at = skip(skip(skip(text, "{\"fingerprint\": \""), fingerprint), "\", \"attempt\": \"");
    found->attempt = at;
    while (at && is_of_attempt(*at))
        at++;
    found->size = at - found->attempt;
    at = skip(at, "\", ");
    const char *submission = skip(at, "\"submission\": \"");
    if (submission) {
        while (is_plain(*submission))
            submission++;
        at = skip(submission, "\", ");
    }
    at = skip_moment(skip(at, "\"status_code\": 0, \"started\": "), &started);
    at = skip_moment(skip(at, ", \"finished\": "), &ended);
    long long took = ended - started; /* what took longer than 11 days, or less than nothing, is told by Python */
    found->seconds = (double)took / 1000;
    return skip(at, ", \"host\": \"") && found->size <= LONGEST_ATTEMPT && started && took >= 0 && took < 1000000000;
}

/* Read a file of less than a block as a string, and return its size, or a negative errno. Of a larger one the string is empty. */
static long read_text(int folder, const char *path, char *text) {
    int file = openat(folder, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    long size = file < 0 ? -1 : read(file, text, BLOCK);
    int error = errno;
    if (file >= 0)
        close(file);
    text[size > 0 && size < BLOCK ? size : 0] = '\0';
    return size < 0 ? -error : size;
}

/* The two files are read in the order of store/reading.py, and for the same reason. */
static int tell(int folder, const char *key, const char *fingerprint, char *text, struct outcome *found) {
    char path[LONGEST_KEY + sizeof "/status_code"];
    size_t length = strlen(key);
    struct stat there;
    if (length > LONGEST_KEY || !*fingerprint)
        return UNTOLD;
    memcpy(path, key, length);
    strcpy(path + length, "/status_code");
    long size = read_text(folder, path, text);
    if (size == -ENOENT || size == -ENOTDIR)
        return fstatat(folder, key, &there, AT_SYMLINK_NOFOLLOW) && (errno == ENOENT || errno == ENOTDIR) ? ABSENT : UNTOLD;
    if (size != 1 || *text != '0')
        return UNTOLD;
    strcpy(path + length, "/run.json");
    size = read_text(folder, path, text);
    return size > 0 && text[size - 1] == '}' && is_current(text, fingerprint, found) ? CURRENT : UNTOLD;
}

/* Tell what shows quickly of the outcomes of runs, from their keys, which are paths in a folder, and the fingerprints that are
 * wanted: strings that each end with a zero byte.
 *
 * Of those that are current, it is also how many seconds they took, and the names of their attempts, each of which ends
 * with a line feed, as an empty one does for each other run. Returns the size of these names.
 */
size_t tell_outcomes(int folder, size_t runs, const char *keys, const char *fingerprints, char *told, double *seconds,
                     char *attempts) {
    char text[BLOCK + 1], *end = attempts;
    for (size_t i = 0; i < runs; i++) {
        struct outcome found;
        told[i] = tell(folder, keys, fingerprints, text, &found);
        if (told[i] == CURRENT) {
            seconds[i] = found.seconds;
            end = mempcpy(end, found.attempt, found.size);
        }
        *end++ = '\n';
        keys += strlen(keys) + 1;
        fingerprints += strlen(fingerprints) + 1;
    }
    return end - attempts;
}
