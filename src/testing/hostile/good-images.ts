import { copyFile, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { globSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { runTool } from '../../base/process.ts'
import { GiB, KiB, MiB } from '../../base/units.ts'
import { noise } from '../contract-tree.ts'
import { withVmdkFooter } from '../vmdk-footer.ts'
import { isoOf } from './hostile-claims.ts'
import { gptDisk } from './hostile-partitions.ts'
import { ovfOf, tarOf } from './hostile-packed.ts'

/** A file as honest tools write it, which no inspection may refuse. */
export interface GoodImage {
  readonly name: string
  readonly claim: string
  /** Writes it to `path`. `disk` is a raw disk of 70 MiB with data here and there. */
  make(path: string, disk: string): Promise<unknown>
}

/** The disk that most of them hold: text, random bytes and holes, and an odd number of sectors. */
export async function makeGoodDisk(path: string): Promise<void> {
  await writeFile(path, '')
  const file = await open(path, 'r+')
  const noise = createHash('shake256', { outputLength: 200 * KiB })
    .update('noise')
    .digest()
  await file.write(Buffer.alloc(300 * KiB, 'all work and no play '), 0, 300 * KiB, 64 * KiB)
  await file.write(noise, 0, noise.length, 5 * MiB + 512)
  await file.write(noise, 0, noise.length, 66 * MiB)
  await file.close()
  await truncate(path, 70 * MiB + 512)
}

const convert =
  (format: string, ...options: string[]): GoodImage['make'] =>
  (path, disk) =>
    runTool(['qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, disk, path])

const create =
  (format: string, size: string, ...options: string[]): GoodImage['make'] =>
  (path) =>
    runTool(['qemu-img', 'create', '-q', '-f', format, ...options, path, size])

/** Writes by a running machine: clusters in any order, some given back. */
const used =
  (format: string, ...options: string[]): GoodImage['make'] =>
  async (path) => {
    await runTool(['qemu-img', 'create', '-q', '-f', format, ...options, path, '1G'])
    const writes = ['900M 3M', '0 64k', '512M 1M', '1M 70k', '100M 2M'].flatMap((place) => [
      '-c',
      `write -P 7 ${place}`,
    ])
    const more = ['-c', 'discard 512M 512k', '-c', 'write -z 100M 1M', '-c', 'write -P 9 5k 1k']
    await runTool(['qemu-io', '-d', 'unmap', '-f', format, ...writes, ...more, path])
  }

const content =
  (make: (disk: Buffer) => Buffer | Promise<Buffer>): GoodImage['make'] =>
  async (path, disk) =>
    await writeFile(path, await make(await readFile(disk)))

const by =
  (...argv: string[]) =>
  (input: Uint8Array) =>
    runTool(argv, { input, maxOutput: 128 * MiB })

const shrunk = async (format: string, disk: string, path: string, ...options: string[]) => {
  await convert(format, ...options)(path, disk)
  return await readFile(path)
}

const footed =
  (...options: string[]): GoodImage['make'] =>
  async (path, disk) =>
    await writeFile(path, withVmdkFooter(await shrunk('vmdk', disk, path, ...options)))

const QCOW2: readonly GoodImage[] = [
  ['as it comes', convert('qcow2')],
  ['compat 0.10', convert('qcow2', '-o', 'compat=0.10')],
  ['clusters of 512 bytes', convert('qcow2', '-o', 'cluster_size=512')],
  ['clusters of 4 KiB', convert('qcow2', '-o', 'cluster_size=4k')],
  ['clusters of 2 MiB', convert('qcow2', '-o', 'cluster_size=2M')],
  ['refcounts of 1 bit', convert('qcow2', '-o', 'refcount_bits=1')],
  ['refcounts of 8 bits', convert('qcow2', '-o', 'refcount_bits=8')],
  ['refcounts of 64 bits', convert('qcow2', '-o', 'refcount_bits=64')],
  ['lazy refcounts', convert('qcow2', '-o', 'lazy_refcounts=on')],
  ['metadata preallocated', create('qcow2', '64M', '-o', 'preallocation=metadata')],
  ['all preallocated', create('qcow2', '8M', '-o', 'preallocation=falloc')],
  ['written in full', create('qcow2', '8M', '-o', 'preallocation=full')],
  ['written out of order', convert('qcow2', '-W', '-m', '8')],
  ['nothing a hole', convert('qcow2', '-S', '0')],
  ['compressed', convert('qcow2', '-c')],
  ['compressed by zstd', convert('qcow2', '-c', '-o', 'compression_type=zstd')],
  ['compressed, small clusters', convert('qcow2', '-c', '-o', 'cluster_size=4k')],
  ['compressed, large clusters', convert('qcow2', '-c', '-o', 'cluster_size=2M')],
  ['empty', create('qcow2', '1T')],
  ['empty, of 1 sector', create('qcow2', '512')],
  ['empty, of 16 TiB', create('qcow2', '16T')],
  ['used by a machine', used('qcow2')],
  ['used by a machine, compat 0.10', used('qcow2', '-o', 'compat=0.10')],
  [
    'resized',
    async (path: string) => {
      await used('qcow2')(path, '')
      await runTool(['qemu-img', 'resize', '-q', '-f', 'qcow2', path, '900G'])
    },
  ],
  [
    'with a dirty bitmap kept',
    async (path: string) => {
      await used('qcow2')(path, '')
      await runTool(['qemu-img', 'bitmap', '--add', '-f', 'qcow2', path, 'backup'])
    },
  ],
].map(([name, make]) => ({ name: `qcow2: ${String(name)}`, claim: 'qcow2', make }) as GoodImage)

const OTHERS: readonly GoodImage[] = (
  [
    ['vdi', 'as it comes', convert('vdi')],
    ['vdi', 'static', convert('vdi', '-o', 'static=on')],
    ['vdi', 'empty', create('vdi', '500G')],
    ['vdi', 'used by a machine', used('vdi')],
    ['vhd', 'as it comes', convert('vpc')],
    ['vhd', 'of its exact size', convert('vpc', '-o', 'force_size=on')],
    ['vhd', 'fixed', convert('vpc', '-o', 'subformat=fixed')],
    ['vhd', 'fixed, of its exact size', convert('vpc', '-o', 'subformat=fixed,force_size=on')],
    ['vhd', 'empty', create('vpc', '200G')],
    ['vhd', 'used by a machine', used('vpc')],
    ['vhdx', 'as it comes', convert('vhdx')],
    ['vhdx', 'blocks of 1 MiB', convert('vhdx', '-o', 'block_size=1M')],
    ['vhdx', 'blocks of 32 MiB', convert('vhdx', '-o', 'block_size=32M')],
    ['vhdx', 'fixed', convert('vhdx', '-o', 'subformat=fixed')],
    ['vhdx', 'a large log', convert('vhdx', '-o', 'log_size=4M')],
    ['vhdx', 'absent blocks not zero', convert('vhdx', '-o', 'block_state_zero=off')],
    ['vhdx', 'empty, of 1 TiB', create('vhdx', '1T')],
    ['vhdx', 'used by a machine', used('vhdx')],
    ['vmdk', 'as it comes', convert('vmdk')],
    ['vmdk', 'with zeroed grains', convert('vmdk', '-o', 'zeroed_grain=on')],
    ['vmdk', 'for SCSI', convert('vmdk', '-o', 'adapter_type=lsilogic')],
    ['vmdk', 'for ESX', convert('vmdk', '-o', 'adapter_type=legacyESX')],
    ['vmdk', 'of version 6', convert('vmdk', '-o', 'compat6')],
    ['vmdk', 'hardware version 13', convert('vmdk', '-o', 'hwversion=13')],
    ['vmdk', 'for streaming', convert('vmdk', '-o', 'subformat=streamOptimized')],
    ['vmdk', 'empty', create('vmdk', '300G')],
    ['vmdk', 'used by a machine', used('vmdk')],
    ['vmdk', 'with a footer', footed()],
    ['vmdk', 'for streaming, with a footer', footed('-o', 'subformat=streamOptimized')],
    ['raw', 'no file system', convert('raw')],
    ['raw', 'with a GPT', content(() => gptDisk())],
    ['raw', 'nothing but zeros', content(() => Buffer.alloc(MiB))],
    ['raw', 'random', content((disk) => disk.subarray(5 * MiB + 512, 5 * MiB + 512 + 100 * KiB))],
    ['iso', 'made by hand', content(() => isoOf(64))],
    ['iso', 'longer than its volume', content(() => isoOf(64, 200))],
    ['raw.gz', 'one member', content((disk) => gzipSync(disk))],
    [
      'raw.gz',
      'several members',
      content((disk) =>
        Buffer.concat([gzipSync(disk.subarray(0, MiB)), gzipSync(disk.subarray(MiB))]),
      ),
    ],
    ['raw.zst', 'one frame', content((disk) => zstdCompressSync(disk))],
    [
      'raw.zst',
      'several frames, and one to skip',
      content((disk) =>
        Buffer.concat([
          zstdCompressSync(disk.subarray(0, MiB)),
          Buffer.from('502a4d180400000001020304', 'hex'),
          zstdCompressSync(disk.subarray(MiB)),
        ]),
      ),
    ],
    ['raw.zst', 'a long window', content(by('zstd', '-q', '-c', '--long=27'))],
    ['raw.xz', 'one stream', content(by('xz', '-1', '-c'))],
    ['raw.xz', 'in blocks', content(by('xz', '-1', '-c', '-T2', '--block-size=1MiB'))],
    ['raw.bz2', 'one stream', content(by('bzip2', '-1', '-c'))],
    [
      'qcow2.gz',
      'a qcow2 inside',
      async (path: string, disk: string) =>
        await writeFile(path, gzipSync(await shrunk('qcow2', disk, path))),
    ],
    [
      'vmdk.xz',
      'a vmdk inside',
      async (path: string, disk: string) =>
        await writeFile(path, await by('xz', '-1', '-c')(await shrunk('vmdk', disk, path))),
    ],
    ['ova', 'a descriptor and a disk', (path, disk) => writeOva(path, disk)],
    ['ova', 'with SHA-256 digests', (path, disk) => writeOva(path, disk, 'sha256')],
    ['ova', 'with SHA-1 digests', (path, disk) => writeOva(path, disk, 'sha1')],
    [
      'ami',
      'a file system',
      async (path: string) => {
        await writeFile(path, '')
        await truncate(path, 8 * MiB)
        await runTool(['mke2fs', '-q', '-F', '-t', 'ext4', path])
      },
    ],
    [
      'aki',
      'a kernel',
      async (path: string) => await writeFile(path, await readFile(globSync('/boot/vmlinuz*')[0]!)),
    ],
    [
      'ari',
      'an archive, compressed',
      content(() => gzipSync(Buffer.concat([cpioTrailer(), Buffer.alloc(512)]))),
    ],
    [
      'ari',
      'several archives',
      content(() => Buffer.concat([cpioTrailer(), gzipSync(cpioTrailer())])),
    ],
    ['ari', 'compressed several times', content(() => twice(gzipSync(cpioTrailer())))],
    ['ari', 'by zstd', content(() => zstdCompressSync(cpioTrailer()))],
    ['ari', 'by xz', content(() => by('xz', '-c', '--check=crc32')(cpioTrailer()))],
    ['ari', 'by bzip2', content(() => by('bzip2', '-c')(cpioTrailer()))],
    ['ari', 'by lz4', content(() => packedByLz4('04224d18'))],
    ['ari', 'by lz4 of the old form', content(() => packedByLz4('02214c18'))],
    [
      'ari',
      'microcode, and an archive by lz4',
      content(() => Buffer.concat([cpioTrailer(), packedByLz4('02214c18')])),
    ],
    ['aki', 'for arm64', content(() => arm64Kernel())],
    ['aki', 'for arm64, compressed', content(() => gzipSync(arm64Kernel()))],
    ['aki', 'in ELF', content(() => placed(4096, [0, '\x7fELF\x02\x01\x01']))],
    ['aki', 'for EFI', content(() => placed(4096, [0, 'MZ'], [60, '\x80\0\0\0'], [128, 'PE\0\0']))],
    ['raw', 'an archive as its content', content(() => cpioTrailer())],
    ['gce', 'with holes', gceOf('-S')],
    ['gce', 'without holes', gceOf()],
  ] satisfies readonly (readonly [string, string, GoodImage['make']])[]
).map(([claim, name, make]) => ({ name: `${claim}: ${name}`, claim, make }))

/** The last entry of a cpio archive (newc), padded to 512 bytes. */
function cpioTrailer(): Buffer {
  const archive = Buffer.alloc(512)
  const fields = ['0', '0', '0', '0', '1', '0', '0', '0', '0', '0', '0', 'b', '0']
  const header = `070701${fields.map((field) => field.padStart(8, '0')).join('')}`
  archive.write(`${header}TRAILER!!!\0`, 0, 'latin1')
  return archive
}

/** Latin-1 text at places of a file of zeros. */
function placed(size: number, ...texts: readonly (readonly [at: number, text: string])[]): Buffer {
  const file = Buffer.alloc(size)
  for (const [at, text] of texts) file.write(text, at, 'latin1')
  return file
}

const twice = (bytes: Buffer) => Buffer.concat([bytes, bytes])
const arm64Kernel = () => placed(64 * KiB, [56, 'ARM\x64'])
const packedByLz4 = (magic: string) => Buffer.concat([Buffer.from(magic, 'hex'), noise(5000)])

/** What GNU tar makes of the disk for Compute Engine, the disk made whole GiB. */
function gceOf(...options: string[]): GoodImage['make'] {
  return async (path, disk) => {
    const directory = await mkdtemp(join(dirname(path), 'gce-'))
    await copyFile(disk, join(directory, 'disk.raw'))
    if (options.length > 0) await truncate(join(directory, 'disk.raw'), GiB)
    const where = ['-C', directory, 'disk.raw']
    await runTool(['tar', ...options, '--format=oldgnu', '-czf', path, ...where])
    await rm(directory, { recursive: true })
  }
}

async function writeOva(path: string, disk: string, digest?: 'sha1' | 'sha256'): Promise<void> {
  const vmdk = await shrunk('vmdk', disk, path, '-o', 'subformat=streamOptimized')
  const ovf = ovfOf().replace('1073741824', String(70 * MiB + 512))
  const lineOf = (name: string, bytes: Buffer | string) =>
    `${String(digest).toUpperCase()}(${name})= ${createHash(String(digest)).update(bytes).digest('hex')}\n`
  const members: [string, Buffer | string][] = [['vm.ovf', ovf]]
  if (digest !== undefined)
    members.push(['vm.mf', lineOf('vm.ovf', ovf) + lineOf('disk.vmdk', vmdk)])
  members.push(['disk.vmdk', vmdk])
  await writeFile(path, tarOf(members))
}

/** Every good image. */
export const GOOD_IMAGES: readonly GoodImage[] = [...QCOW2, ...OTHERS]
