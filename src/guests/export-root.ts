/** A guest's root as files for containers: archives, squashfs, images of Incus and LXC. */
import { stat } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { type Packing, type Put, writePackedFile } from '../bytes/packed-file.ts'
import { writeWholeFiles } from '../bytes/whole-file.ts'
import type { Remote } from '../remotes/remote.ts'
import { type ContainerFacts, incusMetadata, lxcMetadata } from './container-metadata.ts'
import { type ExportFormat, type ExportPaths, exportPathsOf } from './export-formats.ts'
import {
  isKernelsOwn,
  openRootArchive,
  type RootArchive,
  type RootArchiveOptions,
  writeFileArchive,
} from './_root-archive.ts'

/** What an export made. */
export interface Exported {
  readonly files: readonly { readonly path: string; readonly size: number }[]
  /** What the form cannot hold, in words; empty when it holds everything. */
  readonly left: readonly string[]
}

/** A file that is made of a root. */
interface Part {
  readonly path: string
  readonly packing: Packing
  readonly write: (put: Put) => Promise<void>
}

const DEVICES: ReadonlySet<string> = new Set(['character', 'block'])

type Parts = readonly [Part, ...Part[]]

/**
 * Writes the root of a guest in one of the forms for containers: all files of it, or none. The same
 * guest gives the same bytes, whichever way it is reached and whenever.
 *
 * Fails with USAGE (the name of the output does not fit the form), NO_OPERATING_SYSTEM, TOOL_MISSING,
 * and as `Remote.archive` and `writeWholeFiles` do.
 */
export async function exportRoot(
  remote: Remote,
  format: ExportFormat,
  { output, tempDir }: { output: string; tempDir: string },
  context: Context,
): Promise<Exported> {
  const paths = exportPathsOf(format, output)
  context.progress({ kind: 'phase', name: 'archive', detail: 'the guest’s root' })
  await using root = await openRootArchive(remote, tempDir, context)
  const parts = await partsOf(format, paths, root, remote)
  const [first, ...others] = parts.map(({ path }) => path)
  if (first === undefined) throw new Error('a form without files')
  const sizes = await writeWholeFiles(
    [first, ...others],
    'export',
    async (working) => {
      for (const [index, { packing, write }] of parts.entries()) {
        context.progress({ kind: 'phase', name: 'write', detail: parts[index]?.path ?? '' })
        await writePackedFile(working[index] ?? '', packing, write, context.signal)
      }
      return await Promise.all(working.map(async (path) => (await stat(path)).size))
    },
    { sync: false },
  )
  return {
    files: parts.map(({ path }, index) => ({ path, size: sizes[index] ?? 0 })),
    left: parts.some(({ packing }) => packing === 'squashfs') ? leftBySquashfs(root) : [],
  }
}

async function partsOf(
  { kind }: ExportFormat,
  { paths: [output, second = output], packing }: ExportPaths,
  root: RootArchive,
  remote: Remote,
): Promise<Parts> {
  const rootPart = (path: string, packing: Packing, options?: RootArchiveOptions): Part => ({
    path,
    packing,
    write: (put) => root.write(put, options),
  })
  const squashfs = { under: 'rootfs', forSquashfs: true }
  switch (kind) {
    case 'squashfs':
      return [rootPart(output, 'squashfs', squashfs)]
    case 'incus': {
      const files = incusMetadata(await factsOf(remote, root))
      const write = (put: Put) => writeFileArchive(put, files, root.newest)
      return [{ path: output, packing, write }, rootPart(second, 'squashfs', squashfs)]
    }
    case 'incus-unified': {
      const files = incusMetadata(await factsOf(remote, root))
      return [rootPart(output, packing, { under: 'rootfs', files })]
    }
    case 'lxc': {
      const files = lxcMetadata(await factsOf(remote, root))
      const write = (put: Put) => writeFileArchive(put, files, root.newest)
      return [{ path: output, packing, write }, rootPart(second, 'xz')]
    }
    default:
      return [rootPart(output, packing)]
  }
}

async function factsOf(remote: Remote, { members, newest }: RootArchive): Promise<ContainerFacts> {
  const guest = await remote.facts()
  if (guest.architecture === '')
    throw new Failure(
      'NO_OPERATING_SYSTEM',
      `${remote.name}: no program in it tells for which architecture it is`,
    )
  const devices = members.filter(({ node }) => DEVICES.has(node.type)).map(({ path }) => path)
  return { guest, madeAt: newest, devices }
}

function leftBySquashfs({ members }: RootArchive): string[] {
  const listed = members.filter(({ extended }) => [...extended.keys()].some(isKernelsOwn)).length
  const early = members.filter(({ mtime }) => mtime < 0 || mtime >= 2 ** 32).length
  return [
    ...(listed > 0 ? [`access lists of ${listed} files: squashfs has none`] : []),
    ...(early > 0 ? [`times of ${early} files: squashfs counts from 1970 to 2106`] : []),
  ]
}
