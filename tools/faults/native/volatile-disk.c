/*
 * volatile-disk: one file that behaves like a disk with a volatile write cache, through FUSE.
 *
 *   volatile-disk BACKING MEBIBYTES MOUNTPOINT        MOUNTPOINT/disk is the disk, MOUNTPOINT/control takes commands
 *
 * A write is visible to reads at once, but reaches BACKING only with the next flush (fsync of the file, which a loop device sends
 * for a flush or FUA request of the file system above it). Put a loop device with direct I/O on the disk and a file system on that,
 * and power can be lost below a real file system:
 *
 *   crash SEED KEEP   every cached write is kept (probability KEEP percent), torn at 512-byte sectors or dropped; from then on
 *                     everything fails with EIO, as for a machine that lost power
 *   revive            the machine is up again
 *   failflush N SEED  the N-th flush from now fails with EIO once and drops or tears what was cached, as disks do; later flushes
 *                     succeed again, so that software which retries would believe that all is well
 *   slow MICROSECONDS every write takes this much longer
 *
 * Reading the control file tells the counters. Build: cc -O2 volatile-disk.c -o volatile-disk $(pkg-config --cflags --libs fuse3)
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECTOR = 512 };

/* A write that is not flushed yet; newer ones stand later in the array and win. */
struct cached_write {
  off_t offset;
  size_t length;
  char *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cached_write *cache;
static size_t cache_count, cache_capacity;
static int backing;
static off_t disk_size;
static int powerless;
static unsigned fail_flush_in, fail_seed, slow_us;
static unsigned long write_count, flush_count, failed_count;

static int is_disk(const char *path) { return strcmp(path, "/disk") == 0; }
static int is_control(const char *path) { return strcmp(path, "/control") == 0; }

static int disk_getattr(const char *path, struct stat *st, struct fuse_file_info *info) {
  (void)info;
  memset(st, 0, sizeof *st);
  st->st_nlink = 1;
  st->st_mode = S_IFREG | 0600;
  if (strcmp(path, "/") == 0) {
    st->st_mode = S_IFDIR | 0755;
    st->st_nlink = 2;
  } else if (is_disk(path)) {
    st->st_size = disk_size;
  } else if (is_control(path)) {
    st->st_size = 4096;
  } else {
    return -ENOENT;
  }
  return 0;
}

static int disk_open(const char *path, struct fuse_file_info *info) {
  if (is_control(path)) info->direct_io = 1;
  return 0;
}

static int read_control(char *buffer, size_t size, off_t offset) {
  char text[160];
  int length = snprintf(text, sizeof text, "writes %lu flushes %lu failed %lu cached %zu powerless %d\n", write_count, flush_count,
                        failed_count, cache_count, powerless);
  if (offset >= length) return 0;
  if (size > (size_t)(length - offset)) size = (size_t)(length - offset);
  memcpy(buffer, text + offset, size);
  return (int)size;
}

static int disk_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info) {
  (void)info;
  pthread_mutex_lock(&lock);
  int result = (int)size;
  if (is_control(path)) {
    result = read_control(buffer, size, offset);
  } else if (powerless) {
    result = -EIO;
  } else {
    if (offset + (off_t)size > disk_size) size = offset < disk_size ? (size_t)(disk_size - offset) : 0;
    ssize_t got = pread(backing, buffer, size, offset);
    if (got < 0) got = 0;
    memset(buffer + got, 0, size - (size_t)got);
    for (size_t i = 0; i < cache_count; i++) {
      off_t start = cache[i].offset > offset ? cache[i].offset : offset;
      off_t cache_end = cache[i].offset + (off_t)cache[i].length, read_end = offset + (off_t)size;
      off_t end = cache_end < read_end ? cache_end : read_end;
      if (start < end) memcpy(buffer + (start - offset), cache[i].data + (start - cache[i].offset), (size_t)(end - start));
    }
    result = (int)size;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static void persist(const char *data, size_t length, off_t offset) {
  if (pwrite(backing, data, length, offset) != (ssize_t)length) {
    perror("volatile-disk: backing file");
    exit(1);
  }
}

/* Empties the cache: each write is kept with `keep` percent, three in ten of the others are torn, the rest are dropped. */
static void lose_cache(unsigned seed, unsigned keep) {
  size_t kept = 0, torn = 0, count = cache_count;
  for (size_t i = 0; i < cache_count; i++) {
    struct cached_write *w = &cache[i];
    if ((unsigned)(rand_r(&seed) % 100) < keep) {
      persist(w->data, w->length, w->offset);
      kept++;
    } else if (rand_r(&seed) % 10 < 3) {
      for (size_t at = 0; at < w->length; at += SECTOR) {
        size_t length = w->length - at < SECTOR ? w->length - at : SECTOR;
        if (rand_r(&seed) & 1) persist(w->data + at, length, w->offset + (off_t)at);
      }
      torn++;
    }
    free(w->data);
  }
  cache_count = 0;
  fprintf(stderr, "lost the cache: %zu writes, %zu kept, %zu torn, %zu dropped\n", count, kept, torn, count - kept - torn);
}

static void obey(const char *text) {
  unsigned a = 0, b = 0;
  if (sscanf(text, "crash %u %u", &a, &b) == 2) {
    lose_cache(a, b);
    powerless = 1;
  } else if (strncmp(text, "revive", 6) == 0) {
    powerless = 0;
  } else if (sscanf(text, "failflush %u %u", &a, &b) == 2) {
    fail_flush_in = a;
    fail_seed = b;
  } else if (sscanf(text, "slow %u", &a) == 1) {
    slow_us = a;
  }
}

static int disk_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *info) {
  (void)info;
  if (slow_us > 0 && is_disk(path)) usleep(slow_us);
  pthread_mutex_lock(&lock);
  int result = (int)size;
  if (is_control(path)) {
    char text[128] = {0};
    memcpy(text, buffer, size < sizeof text ? size : sizeof text - 1);
    obey(text);
  } else if (powerless) {
    result = -EIO;
  } else {
    if (cache_count == cache_capacity) {
      cache_capacity = cache_capacity == 0 ? 1024 : cache_capacity * 2;
      cache = realloc(cache, cache_capacity * sizeof *cache);
    }
    struct cached_write w = {offset, size, malloc(size)};
    memcpy(w.data, buffer, size);
    cache[cache_count++] = w;
    write_count++;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static int disk_fsync(const char *path, int data_only, struct fuse_file_info *info) {
  (void)path, (void)data_only, (void)info;
  pthread_mutex_lock(&lock);
  int result = 0;
  if (powerless) {
    result = -EIO;
  } else if (fail_flush_in > 0 && --fail_flush_in == 0) {
    lose_cache(fail_seed, 50);
    failed_count++;
    result = -EIO;
  } else {
    for (size_t i = 0; i < cache_count; i++) {
      persist(cache[i].data, cache[i].length, cache[i].offset);
      free(cache[i].data);
    }
    cache_count = 0;
    flush_count++;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static int disk_truncate(const char *path, off_t size, struct fuse_file_info *info) {
  (void)path, (void)size, (void)info;
  return 0;
}

static const struct fuse_operations operations = {
    .getattr = disk_getattr,
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_fsync,
    .truncate = disk_truncate,
};

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: volatile-disk BACKING MEBIBYTES MOUNTPOINT\n");
    return 2;
  }
  backing = open(argv[1], O_RDWR | O_CREAT, 0600);
  disk_size = (off_t)atol(argv[2]) << 20;
  if (backing < 0 || ftruncate(backing, disk_size) != 0) {
    perror(argv[1]);
    return 1;
  }
  char *arguments[] = {argv[0], "-f", argv[3], NULL};
  return fuse_main(3, arguments, &operations, NULL);
}
