import { KiB } from '../base/units.ts'

/** As far as programs look for the text. */
const REACH = 20 * KiB

const EXTENT = /^[ \t]*(RW|RDONLY|NOACCESS)[ \t]+\d+[ \t]+(\w+)(?:[ \t]+"([^"\n]*)")?/gim
const PARENT = /^[ \t]*parentFileNameHint[ \t]*=[ \t]*"?([^"\n]*)/im

/**
 * Whether bytes begin as the text that describes a VMDK whose data is in other files. VMware looks for
 * its first line, QEMU also takes comments and blank lines before `version=`, and others look only for
 * the lines that name the files.
 */
export function isDescriptorText(head: Uint8Array): boolean {
  const text = textOf(head)
  if (text === '') return false
  return (
    /^\s*#[ \t]*Disk DescriptorFile/i.test(text) ||
    /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*version[ \t]*=[ \t]*\d+[ \t\r]*(?:\n|$)/i.test(text) ||
    /^[ \t]*createType[ \t]*=/im.test(text) ||
    /^[ \t]*(RW|RDONLY|NOACCESS)[ \t]+\d+[ \t]+(FLAT|SPARSE|ZERO|VMFS\w*|SESPARSE)\b/im.test(text)
  )
}

/** A file that the text names, and the byte where it does. */
export interface NamedFile {
  readonly at: number
  readonly name: string
  readonly what: 'extent' | 'parent'
}

/** The files that the text names; at most 16 of them. */
export function filesNamedBy(head: Uint8Array): NamedFile[] {
  const text = textOf(head)
  const parent = PARENT.exec(text)
  const extents = [...text.matchAll(EXTENT)].map((line) => ({
    at: line.index,
    name: line[3] ?? line[2] ?? '',
    what: 'extent' as const,
  }))
  const all: NamedFile[] = parent
    ? [{ at: parent.index, name: parent[1] ?? '', what: 'parent' }, ...extents]
    : extents
  return all.slice(0, 16)
}

/** What is printable from the start on; empty if that is nothing. Offsets in it are those of the file. */
function textOf(head: Uint8Array): string {
  const reach = head.subarray(0, REACH)
  const end = reach.findIndex((byte) => byte < 9 || (byte > 13 && byte < 32) || byte === 127)
  return Buffer.from(end < 0 ? reach : reach.subarray(0, end)).toString('latin1')
}
