/**
 * Remotes: places where a recipe runs. A driver is one way to reach one kind of place (an image
 * file through the appliance, the sandbox or by reading; a host over SSH; this host). Callers never
 * see a driver: `openRemote` puts the gate in front of it, and the gate is a `Remote`.
 *
 * Every function that a driver leaves out is done by the gate the plain way: through `run`, or, if
 * there is no `run` either, by a Failure REMOTE_CANNOT.
 */
import type { Facts } from './facts.ts'
import type { OpenUplink } from './uplink.ts'

/**
 * A command to run as root in the place of work: in `/`, with umask 022. No shell is involved
 * unless argv names one.
 */
export interface Command {
  argv: readonly string[]
  /** Added to a plain environment (PATH, HOME=/root, LANG=C.UTF-8, TERM=dumb). May hold secrets. */
  env?: Readonly<Record<string, string>> | undefined
  /** Standard input; empty when left out. */
  input?: string | Uint8Array | undefined
  /** After this the command and all it started is killed: COMMAND_TIMEOUT. */
  timeoutMs?: number | undefined
  /** Output as it comes, both streams. */
  onOutput?: ((text: string) => void) | undefined
}

export interface CommandResult {
  /**
   * Exit code; not 0 is an answer, not an error. As a shell has it: 127 no such program, 126 it
   * cannot be run, 128 and the signal's number when a signal ended it.
   */
  code: number
  /** At least 5 MiB of each stream are kept; of more, the beginning and the end. */
  stdout: string
  stderr: string
}

export interface FileStat {
  type: 'file' | 'directory' | 'link' | 'other'
  /** Permission bits, with set-uid, set-gid and sticky: `0o755`. */
  mode: number
  uid: number
  gid: number
  /** Bytes. */
  size: number
  /** Modification time, seconds since 1970. */
  mtime: number
  /** Where a link points, as written. */
  target?: string
}

/** What a file or directory is given when it is written. Left out: 0644 or 0755, root, root. */
export interface FileAttributes {
  mode?: number
  uid?: number
  gid?: number
}

/**
 * What one kind of place can do. Paths are absolute paths of the guest; `..` never occurs (the gate
 * sees to it); symbolic links are followed inside the guest only, never out of it.
 */
export interface RemoteDriver extends AsyncDisposable {
  /** `disk.raw`, `root@web-01`. */
  readonly name: string
  /** `image`: no services run. `host`: it is alive. Recipes ask by `on`. */
  readonly place: 'image' | 'host'
  /** How it is reached: `read`, `sandbox`, `appliance`, `ssh`, `local`, `scripted`. */
  readonly via: string
  /** Device of the root file system inside an image: `/dev/sda1`. */
  readonly rootFileSystem?: string
  /** See `Remote`. */
  readonly uplink?: OpenUplink
  run?(command: Command): Promise<CommandResult>
  /** Contents of a file, links followed; undefined if there is none. More than `limit` bytes: REMOTE_CANNOT. */
  readFile?(path: string, limit: number): Promise<Uint8Array | undefined>
  /** The file itself, links not followed; undefined if there is none. */
  stat?(path: string): Promise<FileStat | undefined>
  /** Names in a directory without `.` and `..`, sorted; undefined if there is none. */
  list?(path: string): Promise<string[] | undefined>
  /** Writes beside, then renames. The directory exists. */
  writeFile?(path: string, content: Uint8Array, attributes: Required<FileAttributes>): Promise<void>
  /** With its parents (0755 root); no error if it is there. */
  makeDirectory?(path: string): Promise<void>
  setAttributes?(path: string, attributes: FileAttributes): Promise<void>
  makeLink?(path: string, target: string): Promise<void>
  /** With everything below; no error if it is not there. */
  remove?(path: string): Promise<void>
  /** See `Remote`; of an image that was opened for `check` only. */
  archive?(file: string): Promise<void>
  /**
   * Everything that was written is on the disk and the file systems are clean, or a Failure says
   * why not. Called once, after a successful run, before the remote is closed.
   */
  finish?(): Promise<void>
}

/** A place of work, with the gate in front. Closing it ends everything that was started in it. */
export interface Remote extends AsyncDisposable {
  readonly name: string
  readonly place: 'image' | 'host'
  readonly via: string
  readonly rootFileSystem: string | undefined
  /** How to get to the network for the guest, to the places that it names; undefined: as this host. */
  readonly uplink: OpenUplink | undefined
  readonly can: { readonly run: boolean; readonly write: boolean }
  /** What the guest says of itself. Read once. Fails with NO_OPERATING_SYSTEM. */
  facts(): Promise<Facts>
  /** Fails with REMOTE_CANNOT, COMMAND_TIMEOUT, REMOTE_LOST, INTERRUPTED. */
  run(command: Command): Promise<CommandResult>
  /** As `run`, for a command that must succeed; its standard output. Fails with COMMAND_FAILED, NO_SPACE. */
  runOk(command: Command): Promise<string>
  /** Links followed; undefined if there is none. `limit` in bytes, default 64 MiB. */
  readFile(path: string, limit?: number): Promise<Uint8Array | undefined>
  readText(path: string, limit?: number): Promise<string | undefined>
  stat(path: string): Promise<FileStat | undefined>
  /** Whether something is there, links followed. */
  exists(path: string): Promise<boolean>
  list(path: string): Promise<string[] | undefined>
  /** Whole or not at all; makes missing directories. */
  writeFile(path: string, content: string | Uint8Array, attributes?: FileAttributes): Promise<void>
  makeDirectory(path: string): Promise<void>
  setAttributes(path: string, attributes: FileAttributes): Promise<void>
  makeLink(path: string, target: string): Promise<void>
  remove(path: string): Promise<void>
  /**
   * Writes the whole root of an image into `file`, a new file of this host: a tar archive with
   * numeric owners, modes, times, links of both kinds, devices, holes and extended attributes. What
   * the guest's fstab mounts is in it; of `EMPTY_DIRECTORIES` (archive.ts) only the directories.
   * `formats/read-tree-archive.ts` reads it. Fails with REMOTE_CANNOT where that is not possible,
   * NO_SPACE.
   */
  archive(file: string): Promise<void>
  finish(): Promise<void>
}
