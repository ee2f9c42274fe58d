/**
 * libguestfs by its C interface: one handle, the few calls Ingot needs, errors as they came.
 *
 * libguestfs keeps its last error per thread, and koffi makes asynchronous calls on libuv's threads;
 * so this is loaded in processes with one such thread only (`UV_THREADPOOL_SIZE=1`), and a call and
 * the question why it failed are never parted.
 * Source: guestfs(3).
 */
import { Failure, messageOf } from '../base/failure.ts'
import { MiB } from '../base/units.ts'

/** What a call of libguestfs answers when it fails. */
export class GuestfsError extends Error {
  override readonly name = 'GuestfsError'
  /** Of this host's numbering; 0 when there is none. */
  readonly errno: number
  /** Whether the appliance is not running, any more or yet. */
  readonly gone: boolean

  constructor(message: string, errno: number, gone: boolean) {
    super(message)
    this.errno = errno
    this.gone = gone
  }
}

/** The part of struct guestfs_statns that anybody asks for. */
export interface GuestStat {
  mode: number
  uid: number
  gid: number
  size: number
  mtime: number
}

/** Most that one message carries; the protocol's limit is 4 MiB with everything. */
export const CHUNK = 2 * MiB

const STATNS_FIELDS = 22
const EVENT_APPLIANCE = 0x0010n
const EVENT_LIBRARY = 0x0020n
const POINTER_SIZE = 8
const FAILED: ReadonlySet<unknown> = new Set([-1, -1n, null])

/** Optional arguments of `add_drive`: a bit for each that is given. Source: guestfs-actions.h. */
const DRIVE_OPTIONS = {
  bitmask: 'uint64_t',
  readonly: 'int',
  format: 'const char *',
  iface: 'const char *',
  name: 'const char *',
  label: 'const char *',
  protocol: 'const char *',
  server: 'void *',
  username: 'const char *',
  secret: 'const char *',
  cachemode: 'const char *',
  discard: 'const char *',
  copyonread: 'int',
} as const

/** Optional arguments of `tar_out`, as those of `add_drive`. */
const ARCHIVE_OPTIONS = {
  bitmask: 'uint64_t',
  compress: 'const char *',
  numericowner: 'int',
  excludes: 'const char **',
  xattrs: 'int',
  selinux: 'int',
  acls: 'int',
} as const
/** `numericowner`, `excludes` and `xattrs`. */
const ARCHIVE_BITS = 0b1110n

const bitOf = (option: keyof typeof DRIVE_OPTIONS) =>
  1n << BigInt(Object.keys(DRIVE_OPTIONS).indexOf(option) - 1)

export interface Drive {
  path: string
  format: 'raw' | 'qcow2'
  /** Writes go to a throw-away layer. */
  readonly: boolean
  /** `unsafe`: what the guest wants on the disk at once may take its time. */
  cache: 'writeback' | 'unsafe'
}

export type Guestfs = Awaited<ReturnType<typeof openGuestfs>>

/**
 * Loads the library and makes a handle. `onMessage` is told what the library and the appliance's
 * console say. Fails with TOOL_MISSING.
 */
export async function openGuestfs(onMessage: (text: string) => void) {
  const { default: koffi } = await import('koffi')
  const library = load(koffi)
  const libc = koffi.load(null)
  const free = libc.func('void free(void *pointer)')
  const handle: bigint = library.func('void *guestfs_create()')()

  const lastError = asPromised(library.func('const char *guestfs_last_error(void *g)'))
  const lastErrno = asPromised(library.func('int guestfs_last_errno(void *g)'))
  const isReady = asPromised(library.func('int guestfs_is_ready(void *g)'))
  let turn: Promise<unknown> = Promise.resolve()
  let isClosed = false

  /** A call by its C prototype without the handle; its raw result. */
  const declare = <Result>(result: string, name: string, parameters = '') => {
    const prototype = `${result} guestfs_${name}(void *g${parameters && `, ${parameters}`})`
    const run = asPromised(library.func(prototype))
    return (...args: unknown[]): Promise<Result> => {
      const done = turn.then(async () => {
        if (isClosed) throw new GuestfsError(`${name}: the handle is closed`, 0, true)
        const answer = await run(handle, ...args)
        if (!FAILED.has(answer)) return answer as Result
        const errno = Number(await lastErrno(handle))
        const message = await lastError(handle)
        throw new GuestfsError(
          typeof message === 'string' ? message : `${name} failed`,
          errno,
          (await isReady(handle)) !== 1,
        )
      })
      turn = done.catch(() => {})
      return done
    }
  }
  const int = (name: string, parameters?: string) => declare<number>('int', name, parameters)
  const text = (name: string, parameters?: string) => {
    const call = declare<bigint>('void *', name, parameters)
    return async (...args: unknown[]) => takeText(await call(...args))
  }
  const texts = (name: string, parameters?: string) => {
    const call = declare<bigint>('void *', name, parameters)
    return async (...args: unknown[]) => takeTexts(await call(...args))
  }
  const takeText = (pointer: bigint): string => {
    const value = koffi.decode.string(pointer)
    free(pointer)
    return value
  }
  const takeTexts = (array: bigint): string[] => {
    const values: string[] = []
    for (let at = array; ; at += BigInt(POINTER_SIZE)) {
      const pointer = BigInt(koffi.decode.uint64(at))
      if (pointer === 0n) break
      values.push(takeText(pointer))
    }
    free(array)
    return values
  }

  const stat = (name: string) => {
    const call = declare<bigint>('void *', name, 'const char *path')
    return async (path: string): Promise<GuestStat> => {
      const pointer = await call(path)
      const fields: (number | bigint)[] = koffi.decode(pointer, 'int64_t', STATNS_FIELDS)
      free(pointer)
      const at = (index: number) => Number(fields[index])
      return { mode: at(2), uid: at(4), gid: at(5), size: at(7), mtime: at(12) }
    }
  }

  const pread = declare<bigint>(
    'void *',
    'pread',
    'const char *path, int count, int64_t offset, _Out_ size_t *size',
  )
  const addDrive = int('add_drive_opts_argv', 'const char *path, guestfs_add_drive_opts_argv *o')

  const archive = int(
    'tar_out_opts_argv',
    'const char *directory, const char *file, guestfs_tar_out_opts_argv *o',
  )

  const Told = koffi.proto(
    'void guestfs_event_callback(void *g, void *opaque, uint64_t event, int handle, int flags, void *text, size_t length, void *array, size_t count)',
  )
  const told = koffi.register((...args: unknown[]) => {
    const [pointer, length] = args.slice(5, 7)
    onMessage(koffi.decode.string(pointer, Number(length)))
  }, koffi.pointer(Told))
  await int(
    'set_event_callback',
    'guestfs_event_callback *callback, uint64_t events, int flags, void *opaque',
  )(told, EVENT_APPLIANCE | EVENT_LIBRARY, 0, null)

  return {
    setBackend: int('set_backend', 'const char *backend'),
    /** The last of the list is null. */
    setBackendSettings: int('set_backend_settings', 'const char **settings'),
    setCacheDirectory: int('set_cachedir', 'const char *directory'),
    setTemporaryDirectory: int('set_tmpdir', 'const char *directory'),
    setMemory: int('set_memsize', 'int mebibytes'),
    memory: int('get_memsize'),
    setCpus: int('set_smp', 'int count'),
    setNetwork: int('set_network', 'int enabled'),
    setKernelArguments: int('set_append', 'const char *words'),
    addQemuArgument: int('config', 'const char *parameter, const char *value'),
    addDrive: ({ path, format, readonly, cache }: Drive) =>
      addDrive(path, {
        bitmask:
          bitOf('readonly') |
          bitOf('format') |
          (readonly ? 0n : bitOf('cachemode') | bitOf('discard')),
        readonly: readonly ? 1 : 0,
        format,
        ...(readonly ? {} : { cachemode: cache, discard: 'besteffort' }),
      }),
    launch: int('launch'),
    /** Ends the appliance; errors of writing the drives show here. */
    shutdown: int('shutdown'),
    /** Frees the handle once the calls before have been answered; those after it fail. */
    close: (): Promise<unknown> => {
      const close = asPromised(library.func('void guestfs_close(void *g)'))
      return (turn = turn.then(() => {
        isClosed = true
        return close(handle)
      }))
    },

    /** Devices with file systems and their types: `['/dev/sda1', 'ext4', …]`. */
    listFileSystems: texts('list_filesystems'),
    uuidOf: text('vfs_uuid', 'const char *device'),
    labelOf: text('vfs_label', 'const char *device'),
    mount: int('mount_options', 'const char *options, const char *device, const char *at'),
    unmountAll: int('umount_all'),
    sync: int('sync'),
    trim: int('fstrim_argv', 'const char *at, void *options'),

    /** Links followed. */
    stat: stat('statns'),
    /** Links not followed. */
    lstat: stat('lstatns'),
    readlink: text('readlink', 'const char *path'),
    realpath: text('realpath', 'const char *path'),
    list: texts('ls', 'const char *directory'),
    read: async (path: string, count: number, offset: number): Promise<Buffer> => {
      const size: (number | bigint)[] = [0]
      const pointer = await pread(path, count, offset, size)
      const bytes = Buffer.from(Buffer.from(koffi.view(pointer, Number(size[0]))))
      free(pointer)
      return bytes
    },
    write: int('write', 'const char *path, const void *content, size_t size'),
    append: int('write_append', 'const char *path, const void *content, size_t size'),
    rename: int('rename', 'const char *from, const char *to'),
    changeMode: int('chmod', 'int mode, const char *path'),
    /** Links not followed; -1 leaves one as it is. */
    changeOwner: int('lchown', 'int uid, int gid, const char *path'),
    makeDirectories: int('mkdir_p', 'const char *path'),
    makeLink: int('ln_s', 'const char *target, const char *path'),
    removeFile: int('rm', 'const char *path'),
    removeTree: int('rm_rf', 'const char *path'),
    /** Writes a directory into a tar archive on this host, without what the patterns say. */
    archive: (directory: string, file: string, excludes: readonly string[]) =>
      archive(directory, file, {
        bitmask: ARCHIVE_BITS,
        numericowner: 1,
        excludes: [...excludes, null],
        xattrs: 1,
      }),

    /** A shell command of the appliance itself; its output. */
    shell: (() => {
      const debug = text('debug', 'const char *subcommand, const char **arguments')
      return (script: string) => debug('sh', [script, null])
    })(),
    version: (() => {
      const version = declare<bigint>('void *', 'version')
      return async (): Promise<string> => {
        const pointer = await version()
        const parts: (number | bigint)[] = koffi.decode(pointer, 'int64_t', 3)
        free(pointer)
        return parts.join('.')
      }
    })(),
  }

  function load({ load, struct }: typeof koffi) {
    struct('guestfs_add_drive_opts_argv', DRIVE_OPTIONS)
    struct('guestfs_tar_out_opts_argv', ARCHIVE_OPTIONS)
    try {
      return load('libguestfs.so.0')
    } catch (error) {
      throw new Failure('TOOL_MISSING', 'libguestfs is not installed', {
        fix: INSTALL,
        details: { reason: messageOf(error) },
        cause: error,
      })
    }
  }
}

/** What helps where libguestfs, or what it starts, is missing. */
export const INSTALL =
  'Install it: `apt-get install libguestfs0 supermin qemu-system-x86` on Debian and Ubuntu, `dnf install libguestfs` on Fedora and RHEL.'

function asPromised(call: { async: (...args: unknown[]) => unknown }) {
  return (...args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      call.async(...args, (error: unknown, result: unknown) => {
        if (error) reject(error instanceof Error ? error : new Error(messageOf(error)))
        else resolve(result)
      })
    })
}
