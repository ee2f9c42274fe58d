/**
 * Archives of whole trees: a guest's root as a tar archive, with everything that a file is: numeric
 * owner, mode, time, links of both kinds, devices, holes, extended attributes. `remotes` writes one,
 * however it reaches the guest; `guests` reads it back, checks it and writes what containers want.
 *
 * All paths and link targets here are bytes, one character for each (`latin1`): a guest's names need
 * not be UTF-8. Times are whole seconds, as squashfs and most tar archives have them.
 */

/** Where a file holds something; what stands between such runs is zeros. */
export interface DataRun {
  readonly offset: number
  readonly length: number
}

export interface TreeFile {
  readonly type: 'file'
  readonly size: number
  /** In order, without overlaps, inside the size; whole blocks of 512 bytes but for the last. */
  readonly data: readonly DataRun[]
}

export type TreeNode =
  | TreeFile
  | { readonly type: 'directory' | 'fifo' }
  | { readonly type: 'link'; readonly target: string }
  | { readonly type: 'character' | 'block'; readonly major: number; readonly minor: number }

export interface TreeAttributes {
  /** Permission bits, with set-uid, set-gid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Seconds since 1970, whole ones. */
  readonly mtime: number
  /** Extended attributes by their full names: `security.capability`. */
  readonly extended: ReadonlyMap<string, Uint8Array>
}

/** A name in the tree. */
export interface TreeMember extends TreeAttributes {
  /** From the root on, `etc/passwd`; the root itself is empty. */
  readonly path: string
  /** What stands there, or the path under which the archive has had it already: a hard link. */
  readonly node: TreeNode | { readonly type: 'hard link'; readonly target: string }
}

/** Some bytes of a file's content; holes as zeros. */
export type ReadContent = (offset: number, length: number) => Promise<Uint8Array>

/** Longest path and longest target of a link. Source: Linux, PATH_MAX. */
export const MAX_PATH = 4096

/**
 * Why something cannot be a path inside a tree; undefined if it can. Nothing absolute, nothing that
 * climbs, nothing that two spellings could name.
 */
export function pathFault(path: string): string | undefined {
  if (path.length > MAX_PATH) return `a path of ${path.length} bytes`
  if (path.includes('\0')) return 'a path with a NUL byte'
  if (path.startsWith('/')) return 'an absolute path'
  if (path.split('/').some((name) => name === '' || name === '.' || name === '..'))
    return path === '' ? undefined : 'a path with empty, `.` or `..` parts'
  return undefined
}

/** A path as messages show it. */
export function showPath(path: string): string {
  return JSON.stringify(`/${Buffer.from(path, 'latin1').toString()}`)
}
