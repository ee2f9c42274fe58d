/** Which files of a guest go into a container. */
import type { StoredMember } from '../../formats/read-tree-archive.ts'

const DEVICES: ReadonlySet<string> = new Set(['character', 'block'])
const DEFAULT_EXCLUDES = ['./etc/fstab']

/** Patterns of `tar_excludes`, of a list or of lines. */
export function leaveOut(given: string | readonly string[] = DEFAULT_EXCLUDES): readonly string[] {
  const patterns = typeof given === 'string' ? given.split(/[\n,]/) : given
  return patterns
    .map((pattern) =>
      pattern
        .trim()
        .replace(/^(\.?\/)+/, '')
        .replace(/\/+$/, ''),
    )
    .filter((pattern) => pattern !== '')
}

/**
 * What stays: no devices, which the runtime makes and a user may not; nothing that a pattern names, or that is below it;
 * no attributes that belong to the host's kernel. A hard link to what is left out becomes the file.
 */
export function pickMembers(
  members: readonly StoredMember[],
  patterns: readonly string[],
): { readonly members: readonly StoredMember[]; readonly left: number } {
  const kept: StoredMember[] = []
  const leftOut = new Set<string>()
  const holders = new Map<string, StoredMember>()
  const moved = new Map<string, string>()
  for (const member of members) {
    const { path, node } = member
    if (path === '') continue
    const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0))
    if (
      DEVICES.has(node.type) ||
      leftOut.has(parent) ||
      patterns.some((pattern) => matches(path, pattern))
    ) {
      leftOut.add(path)
      holders.set(path, member)
      continue
    }
    kept.push(withoutKernelsOwn(settle(member)))
  }
  return { members: kept, left: leftOut.size }

  /** The first link to a file that is left out has its content, the others are links to that. */
  function settle(member: StoredMember): StoredMember {
    const { node, path } = member
    if (node.type !== 'hard link' || !leftOut.has(node.target)) return member
    const target = moved.get(node.target)
    if (target !== undefined) return { ...member, node: { type: 'hard link', target } }
    moved.set(node.target, path)
    const holder = holders.get(node.target)
    return holder === undefined ? member : { ...holder, path }
  }
}

/** Source: xattr(7): what a container may be given are capabilities and attributes of users. */
function withoutKernelsOwn(member: StoredMember): StoredMember {
  if (member.extended.size === 0) return member
  const extended = [...member.extended].filter(
    ([name]) => name === 'security.capability' || name.startsWith('user.'),
  )
  return { ...member, extended: new Map(extended) }
}

/** As tar has it: `*` is any text, slashes too, `?` one character. Its time is bounded by the product of the lengths. */
export function matches(path: string, pattern: string): boolean {
  let at = 0
  let star = -1
  let resume = 0
  let from = 0
  while (at < path.length) {
    if (pattern[from] === '*') {
      star = from++
      resume = at
    } else if (from < pattern.length && (pattern[from] === '?' || pattern[from] === path[at])) {
      from++
      at++
    } else if (star >= 0) {
      from = star + 1
      at = ++resume
    } else return false
  }
  while (pattern[from] === '*') from++
  return from === pattern.length
}
