/**
 * Which file system of a disk is the guest's root, and what its fstab mounts below it. Every way
 * into an image uses this, each with its own reader of files, so that all of them see one guest.
 */
import { Failure } from '../base/failure.ts'
import { type Source, windowOf } from '../bytes/source.ts'
import { probeFileSystem } from '../formats/file-systems.ts'
import { readPartitions } from '../formats/partitions.ts'
import { type FstabLine, isNamedBy, parseFstab, toDevice } from './_fstab.ts'
import { parseOsRelease } from './facts.ts'

/** A file system on a disk. */
export interface DiskFileSystem {
  /** As libguestfs names it: `/dev/sda1`; `/dev/sda` when it fills the disk. */
  device: string
  /** Bytes from the start of the disk; undefined inside LVM and the like. */
  offset: number | undefined
  length: number | undefined
  /** `ext4`, `xfs`, `vfat`, `crypto_LUKS`, … */
  type: string
  uuid: string
  label: string
  partitionUuid: string
  partitionLabel: string
}

/** A file system and where the guest's fstab puts it. Parents stand before children; `/` is first. */
export interface GuestMount {
  at: string
  fileSystem: DiskFileSystem
  /** Mount options that say which part of it: `subvol=@`. */
  options: string | undefined
}

/** Files of one file system, as texts; undefined for each that is not there. */
export type ReadTexts = (
  fileSystem: DiskFileSystem,
  paths: readonly string[],
) => Promise<readonly (string | undefined)[]>

/** A file system that could be the root, and what was read of it. */
interface Candidate {
  fileSystem: DiskFileSystem
  /** Where in it the root lies: empty, or a subvolume (`/@`). */
  below: string
  osRelease: string | undefined
  fstab: readonly FstabLine[]
}

/** What a root may be formatted as. */
const ROOT_TYPES: ReadonlySet<string> = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs'])
/** Types of fstab that hold no files of the guest. */
const VIRTUAL_TYPES: ReadonlySet<string> = new Set([
  'swap',
  'proc',
  'sysfs',
  'tmpfs',
  'devpts',
  'cgroup',
  'cgroup2',
  'nfs',
  'nfs4',
  'cifs',
  '9p',
  'virtiofs',
  'overlay',
  'iso9660',
  'udf',
  'none',
  'auto',
])

/** Every file system that stands on a disk itself, in the order of the partitions. */
export async function surveyDisk(disk: Source): Promise<DiskFileSystem[]> {
  const { kind, partitions } = await readPartitions(disk)
  const whole = { number: 0, offset: 0, length: disk.size, uuid: '', label: '' }
  const found: DiskFileSystem[] = []
  for (const { number, offset, length, uuid, label } of kind === 'none' ? [whole] : partitions) {
    const device = `/dev/sda${number || ''}`
    const fileSystem = await probeFileSystem(windowOf(disk, offset, length, device))
    if (fileSystem)
      found.push({
        device,
        offset,
        length,
        ...fileSystem,
        partitionUuid: uuid,
        partitionLabel: label,
      })
  }
  return found
}

/**
 * The root and what is mounted below it.
 * Fails with FILE_SYSTEM_ENCRYPTED, NO_OPERATING_SYSTEM, and SEVERAL_OPERATING_SYSTEMS unless `named`
 * is one of the devices.
 */
export async function findRoot(
  fileSystems: readonly DiskFileSystem[],
  readTexts: ReadTexts,
  { image, named }: { image: string; named?: string | undefined },
): Promise<GuestMount[]> {
  const wanted = named === undefined ? undefined : toDevice(named)
  const possible = fileSystems.filter(
    ({ type, device }) => ROOT_TYPES.has(type) && (wanted ?? device) === device,
  )
  const candidates: Candidate[] = []
  for (const fileSystem of possible) {
    const candidate = await lookInto(fileSystem, fileSystems, readTexts)
    if (candidate && (wanted !== undefined || candidate.osRelease !== undefined))
      candidates.push(candidate)
  }
  const [root, ...others] = candidates
  if (root === undefined) throw noRoot(image, fileSystems, named)
  if (others.length > 0) throw severalRoots(image, candidates)
  return mountsOf(root, fileSystems)
}

/** Where in a file system a root may lie. Source: the layouts of Ubuntu (`@`), openSUSE and Fedora (`root`). */
function subvolumesOf({ type }: DiskFileSystem): readonly string[] {
  return type === 'btrfs' ? ['', '/@', '/root', '/@rootfs'] : ['']
}

const FILES = ['/etc/os-release', '/usr/lib/os-release', '/etc/fstab'] as const

/** The first place in a file system that holds an operating system, or at least an fstab. */
async function lookInto(
  fileSystem: DiskFileSystem,
  fileSystems: readonly DiskFileSystem[],
  readTexts: ReadTexts,
): Promise<Candidate | undefined> {
  const places = subvolumesOf(fileSystem)
  const paths = places.flatMap((below) => FILES.map((path) => `${below}${path}`))
  const texts = await readTexts(fileSystem, paths)
  for (const [index, below] of places.entries()) {
    const [etc, usr, fstabText] = texts.slice(index * FILES.length)
    if (etc === undefined && usr === undefined && fstabText === undefined) continue
    const fstab = parseFstab(fstabText ?? '')
    const osRelease = etc ?? usr ?? (await readSeparateUsr(fstab, fileSystems, readTexts))
    return { fileSystem, below, osRelease, fstab }
  }
  return undefined
}

/** /etc/os-release points below /usr, which may be a file system of its own. */
async function readSeparateUsr(
  fstab: readonly FstabLine[],
  fileSystems: readonly DiskFileSystem[],
  readTexts: ReadTexts,
): Promise<string | undefined> {
  const line = fstab.find(({ at }) => at === '/usr')
  const usr = line && fileSystems.find((one) => isNamedBy(one, line.what))
  if (usr === undefined || !ROOT_TYPES.has(usr.type)) return undefined
  return (await readTexts(usr, ['/lib/os-release']))[0]
}

function mountsOf(root: Candidate, fileSystems: readonly DiskFileSystem[]): GuestMount[] {
  const own = root.fstab.find(({ at }) => at === '/')
  const below = root.below === '' ? undefined : `subvol=${root.below.slice(1)}`
  const mounts: GuestMount[] = [
    { at: '/', fileSystem: root.fileSystem, options: own?.subvolume ?? below },
  ]
  for (const { what, at, type, subvolume, optional } of root.fstab) {
    if (at === '/' || VIRTUAL_TYPES.has(type)) continue
    const fileSystem = fileSystems.find((one) => isNamedBy(one, what))
    if (fileSystem) mounts.push({ at, fileSystem, options: subvolume })
    else if (!optional)
      throw new Failure(
        'NO_OPERATING_SYSTEM',
        `the guest's fstab mounts ${what} at ${at}, but the disk has no such file system; it has ${list(fileSystems)}`,
        { details: { what, at } },
      )
  }
  return mounts.toSorted(
    (a, b) => a.at.split('/').length - b.at.split('/').length || (a.at < b.at ? -1 : 1),
  )
}

function noRoot(
  image: string,
  fileSystems: readonly DiskFileSystem[],
  named: string | undefined,
): Failure {
  const details = { fileSystems }
  if (named !== undefined)
    return new Failure(
      'NO_OPERATING_SYSTEM',
      `${image} has no file system ${named} that could be a root; it has ${list(fileSystems)}`,
      { details },
    )
  const encrypted = fileSystems.find(({ type }) => type === 'crypto_LUKS')
  if (encrypted)
    return new Failure(
      'FILE_SYSTEM_ENCRYPTED',
      `${image}: ${encrypted.device} is encrypted (LUKS), and no operating system stands beside it`,
      { details: { device: encrypted.device } },
    )
  return new Failure(
    'NO_OPERATING_SYSTEM',
    fileSystems.length === 0
      ? `${image} has no file system, so no operating system`
      : `no os-release on any file system of ${image}; it has ${list(fileSystems)}`,
    { details },
  )
}

function severalRoots(image: string, candidates: readonly Candidate[]): Failure {
  const roots = candidates.map(({ fileSystem, osRelease }) => ({
    device: fileSystem.device,
    name: nameOf(osRelease ?? ''),
  }))
  const devices = roots.map(({ device }) => `--root-filesystem ${device}`)
  return new Failure(
    'SEVERAL_OPERATING_SYSTEMS',
    `${image} holds ${roots.map(({ device, name }) => `${name} on ${device}`).join(' and ')}`,
    { details: { roots }, fix: `Say which one: ${devices.join(' or ')}.` },
  )
}

/** What a guest calls itself, without what could upset a terminal. */
function nameOf(osRelease: string): string {
  const name = parseOsRelease(osRelease)['PRETTY_NAME'] ?? 'an unnamed system'
  return name.replaceAll(/\p{C}/gu, '').slice(0, 80)
}

function list(fileSystems: readonly DiskFileSystem[]): string {
  const parts = fileSystems.map(
    ({ device, type, label }) => `${device} (${type}${label ? `, ${label}` : ''})`,
  )
  return parts.join(', ') || 'none'
}
