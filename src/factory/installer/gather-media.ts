/** From a plan to the files that a machine starts with: fetched, taken out of media, and the answer file put in. */
import { chmod, copyFile, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { Failure, isFailure } from '../../base/failure.ts'
import { runTool } from '../../base/process.ts'
import { KiB } from '../../base/units.ts'
import { withoutPassword } from '../../bytes/web-request.ts'
import { type IsoFile, makeIso9660 } from '../../machines/iso9660.ts'
import type { DirectKernel } from '../../machines/machine.ts'
import { extractFromIso } from '../../machines/read-iso9660.ts'
import { isOldAnaconda } from './answer-place.ts'
import { makeCpio } from './cpio.ts'
import type { BootPaths } from './install-systems.ts'
import type { InstallerOptions } from './installer-options.ts'
import { fetchMedium, type MediaScene } from './media-cache.ts'
import { commandLineOf, type Installation } from './plan-install.ts'

export interface GatheredMedia {
  readonly kernel?: DirectKernel
  readonly cdroms: readonly string[]
  readonly floppy?: string
  /** What the guest may fetch, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Digests of what was fetched, in order: media are kept under theirs. */
  readonly digests: readonly string[]
}

interface Fetched {
  readonly kernel: string
  readonly initrd: string
}

/**
 * Fails with DOWNLOAD_FAILED, DIGEST_MISMATCH, IMAGE_UNREADABLE, TEMPLATE_INVALID (no way to start that installer),
 * NO_SPACE, INTERRUPTED.
 */
export async function gatherMedia(
  plan: Installation,
  options: Pick<InstallerOptions, 'kernel_url' | 'initrd_url'>,
  workDir: string,
  scene: MediaScene,
): Promise<GatheredMedia> {
  const iso = plan.source.type === 'iso' ? await fetchIso(plan.source, scene) : undefined
  const boot = await bootFiles(plan, options, iso, workDir, scene)
  const { answer, system } = plan
  const cdroms = iso === undefined ? [] : [await withExtras(iso, plan, workDir, scene)]
  const disc = answer.way === 'disc' ? [await makeDisc(plan, workDir)] : []
  const floppy = answer.way === 'disc' && system.answer === 'unattend'
  return {
    cdroms: [...cdroms, ...disc],
    files: new Map(
      answer.way === 'http'
        ? answer.files.map(({ name, content }) => [`/${tokenOf(plan)}/${name}`, content])
        : [],
    ),
    digests: [iso, boot?.kernel, boot?.initrd].flatMap((path) =>
      path === undefined ? [] : [basename(path)],
    ),
    ...(boot && { kernel: await toKernel(plan, boot, workDir) }),
    ...(floppy && { floppy: await makeFloppy(plan, workDir) }),
  }
}

async function fetchIso(
  source: Extract<Installation['source'], { type: 'iso' }>,
  scene: MediaScene,
): Promise<string> {
  const { url, checksum } = source
  return await fetchMedium({ url, checksum }, scene)
}

/** Kernel and initrd, wherever they are; undefined: the medium starts by itself. */
async function bootFiles(
  plan: Installation,
  { kernel_url: kernelUrl, initrd_url: initrdUrl }: InstallerOptions,
  iso: string | undefined,
  workDir: string,
  scene: MediaScene,
): Promise<Fetched | undefined> {
  if (kernelUrl !== undefined && initrdUrl !== undefined) {
    const kernel = await fetchMedium({ url: kernelUrl }, scene)
    return { kernel, initrd: await fetchMedium({ url: initrdUrl }, scene) }
  }
  const { system, source, os } = plan
  if (iso !== undefined) return await fromMedium(system.medium, iso, workDir)
  const candidates = system.tree?.(os, source.url) ?? []
  if (candidates.length === 0)
    throw new Failure('TEMPLATE_INVALID', `${system.name} is not installed from a tree (url)`, {
      fix: 'Give its medium (iso), or kernel_url and initrd_url.',
    })
  return await fromTree(candidates, source.url, scene)
}

/** The first pair that the tree has. */
async function fromTree(
  candidates: readonly BootPaths[],
  url: string,
  scene: MediaScene,
): Promise<Fetched> {
  const at = (path: string) => `${url.replace(/\/*$/, '/')}${path}`
  let failure: unknown
  for (const { kernel, initrd } of candidates)
    try {
      const fetched = await fetchMedium({ url: at(kernel) }, scene)
      return { kernel: fetched, initrd: await fetchMedium({ url: at(initrd) }, scene) }
    } catch (error) {
      if (!isFailure(error, 'DOWNLOAD_FAILED')) throw error
      failure ??= error
    }
  throw failure
}

async function fromMedium(
  candidates: readonly BootPaths[] | undefined,
  iso: string,
  workDir: string,
): Promise<Fetched | undefined> {
  if (candidates === undefined) return undefined
  const [kernel, initrd] = [join(workDir, 'kernel'), join(workDir, 'initrd-of-medium')]
  for (const paths of candidates) {
    const found = await extractFromIso(iso, [paths.kernel], kernel)
    if (found !== undefined && (await extractFromIso(iso, [paths.initrd], initrd)) !== undefined)
      return { kernel, initrd }
  }
  throw new Failure(
    'TEMPLATE_INVALID',
    `the medium has no installer's kernel; looked for ${candidates.map((one) => one.kernel).join(', ')}`,
    { fix: 'Is it an installation medium of this system? Else give kernel_url and initrd_url.' },
  )
}

async function toKernel(plan: Installation, boot: Fetched, workDir: string): Promise<DirectKernel> {
  const initrd =
    plan.answer.way === 'initrd' ? await appendAnswer(plan, boot, workDir) : boot.initrd
  return { path: boot.kernel, initrd, commandLine: commandLineOf(plan, repositoryWords(plan)) }
}

/** Where an installer finds its second part. Fails with TEMPLATE_INVALID. */
function repositoryWords({ source, system, os }: Installation): string[] {
  if (source.type !== 'url' || system.answer === 'preseed') return []
  if (new URL(source.url).password !== '')
    throw new Failure(
      'TEMPLATE_INVALID',
      `${withoutPassword(source.url)}: its password would stand on the installer's command line, for all to see`,
    )
  if (system.answer === 'autoyast') return [`install=${source.url}`]
  if (system.answer === 'kickstart')
    return [`${isOldAnaconda(os) ? 'method' : 'inst.repo'}=${source.url}`]
  return []
}

/**
 * The initrd with an archive behind it, which the kernel unpacks over the first one.
 * Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst: archives follow each other at
 * multiples of four bytes, compressed or not.
 */
async function appendAnswer(plan: Installation, boot: Fetched, workDir: string): Promise<string> {
  const path = join(workDir, 'initrd')
  await copyFile(boot.initrd, path)
  await chmod(path, 0o600) // there are passwords in answer files
  const entries = plan.answer.files.map(({ name, content }) => ({ path: name, content }))
  const archive = await promisify(gzip)(makeCpio(entries))
  const { size } = await stat(path)
  await writeFile(path, Buffer.concat([Buffer.alloc((4 - (size % 4)) % 4), archive]), { flag: 'a' })
  return path
}

async function makeDisc({ answer }: Installation, workDir: string): Promise<string> {
  const path = join(workDir, 'answers.iso')
  const files: IsoFile[] = answer.files.map(({ name, content }) => ({ name, content }))
  await writeFile(path, makeIso9660(answer.label, files), { mode: 0o600 })
  return path
}

/** A floppy disk of 1.44 MB with the answer file, where older setups look. */
async function makeFloppy({ answer }: Installation, workDir: string): Promise<string> {
  const path = join(workDir, 'answers.img')
  await runTool(['mkfs.fat', '-C', path, '1440'])
  for (const { name, content } of answer.files)
    await runTool(['mcopy', '-i', path, '-', `::${name}`], { input: content })
  return path
}

function tokenOf({ answer }: Installation): string {
  const address = answer.words.map((word) => /http:\/\/[\d.]+\/([\w-]+)\//.exec(word)?.[1])
  return address.find((token) => token !== undefined) ?? ''
}

const MAX_EXTRAS_NAME = 4 * KiB

/** The medium with the template's extra files in it; itself, if there are none. */
async function withExtras(
  iso: string,
  plan: Installation,
  workDir: string,
  scene: MediaScene,
): Promise<string> {
  const extras = plan.source.type === 'iso' ? plan.source.extras : []
  if (extras.length === 0) return iso
  const maps: string[] = []
  for (const { kind, source, destination } of extras) {
    if (kind === 'directory' || destination.length > MAX_EXTRAS_NAME)
      throw new Failure(
        'TEMPLATE_INVALID',
        `os/install/extras: directories (${withoutPassword(source)}) cannot be fetched; name their files`,
      )
    const fetched = await fetchMedium({ url: source }, scene)
    maps.push('-map', fetched, `/${destination.replace(/^\/+/, '')}`)
  }
  const path = join(workDir, 'medium.iso')
  const { signal } = scene.context
  await runTool(['cp', '--reflink=auto', '--', iso, path], { signal })
  await runTool(
    ['xorriso', '-dev', path, '-boot_image', 'any', 'keep', ...maps, '-commit', '-end'],
    { signal },
  )
  return path
}
