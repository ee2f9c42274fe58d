/** The files every remote must be able to read, whoever laid them there. */
import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MiB } from '../base/units.ts'
import type { Remote } from '../remotes/remote.ts'

/** One file, directory or link of the tree; `name` is relative to its base. */
export type TreeEntry = { name: string; mode: number; uid: number; gid: number } & (
  | { type: 'file'; content: Uint8Array }
  | { type: 'directory' }
  | { type: 'link'; target: string }
)

const root = { uid: 0, gid: 0 }
const file = (name: string, content: string | Uint8Array, mode = 0o644): TreeEntry => ({
  type: 'file',
  name,
  content: typeof content === 'string' ? Buffer.from(content) : content,
  mode,
  ...root,
})
const link = (name: string, target: string): TreeEntry => ({
  type: 'link',
  name,
  target,
  mode: 0o777,
  ...root,
})

/** Every byte value, ending in newlines, which careless ways drop. */
const binary = Buffer.concat([
  Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  Buffer.from('\n\n'),
])

/** `size` bytes that repeat late, the same every time. */
export function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let state = 0x2545f491
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

/** Names that a shell, an option parser or a line reader would take for something else. */
export const AWKWARD_NAMES: readonly string[] = [
  'with  two spaces',
  ' leading space',
  '-leading-dash',
  `quo'te"s`,
  'dollar $(id) `id` $HOME',
  'back\\slash',
  'new\nline',
  'star * ? [a]',
  'ünïcödé 日本 🦆',
  'n'.repeat(255),
]

/** The whole tree for a base directory: an absolute path of the guest. Parents come first. */
export function contractTree(base: string): TreeEntry[] {
  return [
    file('plain', 'plain text\n'),
    file('empty', ''),
    file('binary', binary, 0o600),
    file('large', noise(5 * MiB)),
    { type: 'file', name: 'owned', content: Buffer.from('x'), mode: 0o4750, uid: 12, gid: 34 },
    ...AWKWARD_NAMES.map((name) => file(name, `this is ${name}`)),
    { type: 'directory', name: 'directory', mode: 0o1750, uid: 12, gid: 34 },
    file('directory/inner', 'inner\n'),
    file('directory/B', ''),
    file('directory/a', ''),
    link('link', 'plain'),
    link('absolute-link', `${base}/plain`),
    link('chain', 'link'),
    link('directory-link', `${base}/directory`),
    link('dangling', 'nothing here'),
    link('loop', 'loop'),
    // These two must mean the guest's own files, wherever its tree lies on the host.
    link('far-up', `${'../'.repeat(40)}etc/os-release`),
    link('etc-link', '/etc'),
  ]
}

/** Lays the tree into `rootDirectory` of this host, for who makes an image of it. Needs root. */
export async function writeContractTree(rootDirectory: string, base: string): Promise<void> {
  const at = (name: string) => join(rootDirectory, base, name)
  await mkdir(at(''), { recursive: true })
  for (const entry of contractTree(base)) {
    const path = at(entry.name)
    if (entry.type === 'link') {
      await symlink(entry.target, path)
      continue
    }
    if (entry.type === 'directory') await mkdir(path)
    else await writeFile(path, entry.content)
    await chown(path, entry.uid, entry.gid)
    await chmod(path, entry.mode)
  }
}

/** Lays the tree through a remote that can write. */
export async function fillContractTree(remote: Remote, base: string): Promise<void> {
  await remote.makeDirectory(base)
  for (const entry of contractTree(base)) {
    const path = `${base}/${entry.name}`
    const { mode, uid, gid } = entry
    if (entry.type === 'link') await remote.makeLink(path, entry.target)
    else if (entry.type === 'file') await remote.writeFile(path, entry.content, { mode, uid, gid })
    else {
      await remote.makeDirectory(path)
      await remote.setAttributes(path, { mode, uid, gid })
    }
  }
}
