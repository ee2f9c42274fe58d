/**
 * Which file system of a disk is the guest's root, and what its fstab mounts below it. Every way
 * into an image uses this, each with its own reader of files.
 */
import { Failure } from '../base/failure.ts'
import { type Source, windowOf } from '../bytes/source.ts'
import { probeFileSystem } from '../formats/file-systems.ts'
import { readPartitions } from '../formats/partitions.ts'
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
  options: { image: string; named?: string | undefined },
): Promise<GuestMount[]> {
  const candidates = fileSystems.filter(({ type }) => ROOT_TYPES.has(type))
  const { named, image } = options
  if (named !== undefined) {
    const chosen = candidates.find(({ device }) => device === toDevice(named))
    if (!chosen)
      throw new Failure(
        'NO_OPERATING_SYSTEM',
        `${image} has no file system ${named} that could be a root; it has ${list(fileSystems)}`,
        { details: { fileSystems } },
      )
    return await withMounts(chosen, fileSystems, readTexts)
  }
  const roots: { fileSystem: DiskFileSystem; name: string }[] = []
  for (const fileSystem of candidates) {
    const texts = await readTexts(
      fileSystem,
      subvolumesOf(fileSystem).flatMap((below) => [
        `${below}/etc/os-release`,
        `${below}/usr/lib/os-release`,
      ]),
    )
    const osRelease = texts.find((text) => text !== undefined)
    if (osRelease !== undefined)
      roots.push({
        fileSystem,
        name: parseOsRelease(osRelease)['PRETTY_NAME'] ?? 'an unnamed system',
      })
  }
  const [root, ...others] = roots
  if (!root) throw noRoot(image, fileSystems)
  if (others.length > 0)
    throw new Failure(
      'SEVERAL_OPERATING_SYSTEMS',
      `${image} holds ${roots.map(({ fileSystem, name }) => `${name} on ${fileSystem.device}`).join(' and ')}`,
      {
        details: {
          roots: roots.map(({ fileSystem, name }) => ({ device: fileSystem.device, name })),
        },
        fix: `Say which one: ${roots.map(({ fileSystem }) => `--root-filesystem ${fileSystem.device}`).join(' or ')}.`,
      },
    )
  return await withMounts(root.fileSystem, fileSystems, readTexts)
}

function noRoot(image: string, fileSystems: readonly DiskFileSystem[]): Failure {
  const encrypted = fileSystems.find(({ type }) => type === 'crypto_LUKS')
  if (encrypted)
    return new Failure(
      'FILE_SYSTEM_ENCRYPTED',
      `${image}: ${encrypted.device} is encrypted (LUKS), and no operating system stands beside it`,
      { details: { device: encrypted.device } },
    )
  return new Failure(
    'NO_OPERATING_SYSTEM',
    `no os-release on any file system of ${image}; it has ${list(fileSystems) || 'none'}`,
    { details: { fileSystems } },
  )
}

async function withMounts(
  root: DiskFileSystem,
  fileSystems: readonly DiskFileSystem[],
  readTexts: ReadTexts,
): Promise<GuestMount[]> {
  const fstabs = await readTexts(
    root,
    subvolumesOf(root).map((below) => `${below}/etc/fstab`),
  )
  const index = fstabs.findIndex((text) => text !== undefined)
  const lines = parseFstab(fstabs[index] ?? '')
  const subvolume = subvolumesOf(root)[index]?.slice(1)
  const own = lines.find(({ at }) => at === '/')
  const mounts: GuestMount[] = [
    {
      at: '/',
      fileSystem: root,
      options: own?.subvolume ?? (subvolume ? `subvol=${subvolume}` : undefined),
    },
  ]
  for (const { what, at, type, subvolume: part, optional } of lines) {
    if (at === '/' || VIRTUAL_TYPES.has(type)) continue
    const fileSystem = fileSystems.find((one) => isNamed(one, what))
    if (fileSystem) mounts.push({ at, fileSystem, options: part })
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

/** Where in a file system a root may lie. Source: the layouts of Ubuntu (`@`), openSUSE and Fedora (`root`). */
function subvolumesOf({ type }: DiskFileSystem): readonly string[] {
  return type === 'btrfs' ? ['', '/@', '/root', '/@rootfs'] : ['']
}

interface FstabLine {
  what: string
  at: string
  type: string
  subvolume: string | undefined
  /** `noauto` or `nofail`: the guest boots without it. */
  optional: boolean
}

/** Source: fstab(5): six fields, blanks apart, `\040` is a blank. */
export function parseFstab(text: string): FstabLine[] {
  return text.split('\n').flatMap((line) => {
    const [what, at, type, options = ''] = line
      .replace(/^\s*#.*/, '')
      .trim()
      .split(/\s+/)
    if (what === undefined || at === undefined || type === undefined || !at.startsWith('/'))
      return []
    const words = options.split(',')
    return [
      {
        what: unescape(what).replaceAll(/(^[A-Z]+=)?"(.*)"$/g, '$1$2'),
        at: unescape(at).replace(/(.)\/+$/, '$1'),
        type,
        subvolume: words.find((word) => /^subvol(id)?=[^,\s]+$/.test(word)),
        optional: words.includes('noauto') || words.includes('nofail'),
      },
    ]
  })
}

function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

/** Whether fstab's first field means this file system. */
function isNamed(
  { device, uuid, label, partitionUuid, partitionLabel }: DiskFileSystem,
  what: string,
): boolean {
  const [, tag, value = ''] = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.+)$/.exec(what) ?? []
  const own = { UUID: uuid, LABEL: label, PARTUUID: partitionUuid, PARTLABEL: partitionLabel }[
    tag ?? ''
  ]
  if (tag !== undefined)
    return own !== undefined && own !== '' && own.toLowerCase() === value.toLowerCase()
  const byPath = /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/.exec(what)
  if (byPath)
    return isNamed(
      { device, uuid, label, partitionUuid, partitionLabel } as DiskFileSystem,
      `${(byPath[1] ?? '').toUpperCase()}=${byPath[2]}`,
    )
  return device === toDevice(what)
}

/** The first disk under any of its names as `/dev/sda`: `/dev/vda1`, `/dev/xvda1`, `/dev/nvme0n1p1`. */
function toDevice(name: string): string {
  const [, partition = ''] = /^\/dev\/(?:[hsv]d|xvd)a(\d*)$/.exec(name) ??
    /^\/dev\/(?:nvme0n1|mmcblk0)(?:p(\d+))?$/.exec(name) ?? ['', undefined]
  return /^\/dev\/(?:(?:[hsv]d|xvd)a\d*|(?:nvme0n1|mmcblk0)(?:p\d+)?)$/.test(name)
    ? `/dev/sda${partition}`
    : name
}

function list(fileSystems: readonly DiskFileSystem[]): string {
  return fileSystems
    .map(({ device, type, label }) => `${device} (${type}${label ? `, ${label}` : ''})`)
    .join(', ')
}
