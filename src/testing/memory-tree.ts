/** A file tree in memory: directories, files and links that are followed as a kernel would. */
import { posix } from 'node:path'
import { Failure } from '../base/failure.ts'
import type { FileAttributes, FileStat } from '../remotes/remote.ts'

interface Owned {
  mode: number
  uid: number
  gid: number
}
type Directory = Owned & { type: 'directory'; entries: Map<string, Node> }
type Node =
  | Directory
  | (Owned & { type: 'file'; content: Uint8Array })
  | (Owned & { type: 'link'; target: string })

const MAX_LINKS = 40
/** When everything in memory was last changed: seconds since 1970. */
const MTIME = 1_700_000_000

const makeRoot = (): Directory => ({
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  entries: new Map(),
})

/** Absolute paths, as the gate hands them to a driver. */
export class MemoryTree {
  readonly #root = makeRoot()

  read(path: string): Uint8Array | undefined {
    const node = this.#find(path, true)
    return node?.type === 'file' ? node.content : undefined
  }

  stat(path: string): FileStat | undefined {
    const node = this.#find(path, false)
    if (!node) return undefined
    const { type, mode, uid, gid } = node
    const stat: FileStat = { type, mode, uid, gid, size: 0, mtime: MTIME }
    if (node.type === 'file') stat.size = node.content.length
    if (node.type === 'link') stat.target = node.target
    return stat
  }

  list(path: string): string[] | undefined {
    const node = this.#find(path, true)
    return node?.type === 'directory' ? [...node.entries.keys()].sort() : undefined
  }

  write(path: string, content: Uint8Array, owned: Owned): void {
    this.#put(path, { type: 'file', content: Uint8Array.from(content), ...owned })
  }

  link(path: string, target: string): void {
    this.#put(path, { type: 'link', target, mode: 0o777, uid: 0, gid: 0 })
  }

  /** With parents; what is there is kept. */
  makeDirectory(path: string): void {
    const parts = path.split('/').filter((part) => part !== '')
    for (let depth = 1; depth <= parts.length; depth++) {
      const at = `/${parts.slice(0, depth).join('/')}`
      const found = this.#find(at, true)
      if (!found) this.#put(at, makeRoot())
      else if (found.type !== 'directory') throw refusal(at, 'is no directory')
    }
  }

  setAttributes(path: string, attributes: FileAttributes): void {
    const node = this.#find(path, false)
    if (!node) throw refusal(path, 'is not there')
    Object.assign(node, attributes)
  }

  remove(path: string): void {
    const parent = this.#find(posix.dirname(path), true)
    if (parent?.type === 'directory') parent.entries.delete(posix.basename(path))
  }

  #put(path: string, node: Node): void {
    const parent = this.#find(posix.dirname(path), true)
    if (parent?.type !== 'directory') throw refusal(path, 'has no directory to be in')
    const name = posix.basename(path)
    if (parent.entries.get(name)?.type === 'directory') throw refusal(path, 'is a directory')
    parent.entries.set(name, node)
  }

  /** What `path` names, links on the way followed; the last one too if `follow`. */
  #find(path: string, follow: boolean): Node | undefined {
    const todo = path.split('/')
    const trail: Directory[] = []
    let node: Node = this.#root
    for (let links = 0; todo.length > 0;) {
      const part = todo.shift()!
      if (part === '' || part === '.') continue
      if (node.type !== 'directory') return undefined
      if (part === '..') {
        node = trail.pop() ?? this.#root
        continue
      }
      const next: Node | undefined = node.entries.get(part)
      if (!next) return undefined
      if (next.type === 'link' && (follow || todo.some((rest) => rest !== ''))) {
        if (++links > MAX_LINKS) return undefined
        todo.unshift(...next.target.split('/'))
        if (next.target.startsWith('/')) {
          node = this.#root
          trail.length = 0
        }
        continue
      }
      trail.push(node)
      node = next
    }
    return node
  }
}

function refusal(path: string, why: string): Failure {
  return new Failure('COMMAND_FAILED', `${path} ${why}`)
}
