/** `ingot convert` as a process, with qemu-img as the judge of what it writes and the maker of what it reads. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import {
  exitOf,
  findProgram,
  killGroup,
  runProcess,
  runTool,
  startProcess,
} from '../src/base/process.ts'
import { KiB, MiB } from '../src/base/units.ts'
import { untilItPrints } from '../src/testing/processes.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const at = await tempDir()
const skip = findProgram('qemu-img') === undefined && 'needs qemu-img'

/** Odd in every way: no whole unit, block or megabyte; data at both ends, and zeros written as data. */
const SIZE = 33 * MiB + 3 * 512
const DATA = [
  [0, 70 * KiB],
  [5 * MiB + 512, 512],
  [8 * MiB, 3 * MiB],
  [SIZE - 1024, 1024],
] as const

await mkdir(at('out'))
await mkdir(at('endless'))
await mkdir(at('temp'))
await writeDisk(at('disk.raw'))
const settings = { ...(process.env as Record<string, string>), TMPDIR: at('temp') }

/** Formats as convert and as qemu-img call them. */
const FORMATS = [
  ['raw', 'raw'],
  ['qcow2', 'qcow2'],
  ['vhd', 'vpc'],
  ['vhdx', 'vhdx'],
  ['vdi', 'vdi'],
  ['vmdk', 'vmdk'],
] as const

async function writeDisk(path: string): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(SIZE)
  for (const [offset, length] of DATA) {
    const bytes = Buffer.alloc(length)
    for (let byte = 0; byte < length; byte++) bytes[byte] = ((byte * 7 + (byte >> 9)) % 251) | 1
    await file.write(bytes, 0, length, offset)
  }
  await file.write(Buffer.alloc(MiB), 0, MiB, 20 * MiB)
}

async function convert(...words: string[]) {
  const { code, stdout, stderr } = await runProcess([INGOT, 'convert', '-q', ...words], {
    env: settings,
  })
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}

async function convertWell(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await convert(...words)
  assert.equal(code, 0, stderr)
  return stdout
}

const compare = async (path: string, format: string) =>
  await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', format, at('disk.raw'), path])

/** That nothing but these files stands in a directory. */
async function holdsOnly(directory: string, ...names: string[]): Promise<void> {
  assert.deepEqual((await readdir(directory)).toSorted(), names.toSorted())
}

describe('converting', { skip }, () => {
  for (const [format, judge] of FORMATS)
    it(`writes ${format} as qemu-img reads it, and the same again from every format qemu-img writes`, async () => {
      const output = at(`disk.${format}2`)
      await convertWell(at('disk.raw'), output, '--format', format)
      await compare(output, judge)
      const options = judge === 'vpc' ? ['-o', 'force_size=on'] : []
      const written = at(`by-qemu.${format}`)
      await runTool(['qemu-img', 'convert', '-O', judge, ...options, at('disk.raw'), written])
      await convertWell(written, at(`from-${format}.qcow2`))
      await convertWell(at('disk.raw'), at('from-raw.qcow2'))
      await compare(at(`from-${format}.qcow2`), 'qcow2')
      await convertWell(output, at(`back-${format}.raw`))
      await compare(at(`back-${format}.raw`), 'raw')
    })

  it('gives the same bytes from whatever it was made of', async () => {
    await convertWell(at('disk.raw'), at('a.vhdx'))
    await runTool(['qemu-img', 'convert', '-O', 'qcow2', at('disk.raw'), at('a.qcow2')])
    await convertWell(at('a.qcow2'), at('b.vhdx'))
    await runTool(['qemu-img', 'convert', '-c', '-O', 'qcow2', at('disk.raw'), at('c.qcow2')])
    await convertWell(at('c.qcow2'), at('c.vhdx'))
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => readFile(at(`${name}.vhdx`))))
    assert.ok(b?.equals(a ?? Buffer.of()))
    assert.ok(c?.equals(a ?? Buffer.of()))
  })

  it('leaves holes where the disk has zeros', async () => {
    await convertWell(at('disk.raw'), at('holes.img'))
    const { size, blocks } = await stat(at('holes.img'))
    assert.equal(size, SIZE)
    assert.ok(blocks * 512 < 4 * MiB, `${blocks * 512} bytes`)
  })

  it('writes compressed formats, and keeps what was compressed when it is asked to', async () => {
    for (const [name, flag] of [
      ['zlib.qcow2', '--compress=zlib'],
      ['zstd.qcow2', '--compress=zstd'],
    ] as const) {
      await convertWell(at('disk.raw'), at(name), flag, '--keep', at('kept'))
      await compare(at(name), 'qcow2')
    }
    const kept = await readdir(at('kept'))
    assert.equal(kept.length, 3, 'two sets of clusters, and the map of the disk')
    await convertWell(at('disk.raw'), at('stream.vmdk'), '--compress=zlib', '--keep', at('kept'))
    await compare(at('stream.vmdk'), 'vmdk')
    assert.deepEqual(await readdir(at('kept')), kept)
  })

  it('takes what follows --compress for a file', async () => {
    await convertWell('--compress', at('disk.raw'), at('bare.qcow2'))
    await compare(at('bare.qcow2'), 'qcow2')
    await convertWell(at('disk.raw'), '--compress', at('between.qcow2'))
    assert.ok((await readFile(at('bare.qcow2'))).equals(await readFile(at('between.qcow2'))))
    const { code, stderr } = await convert('--compress=lzo', at('disk.raw'), at('no.qcow2'))
    assert.equal(code, 2)
    assert.match(stderr, /zlib, zstd/)
  })

  it('does not take what was kept of a disk that was changed since', async () => {
    const changed = at('changed.raw')
    await copyFile(at('disk.raw'), changed)
    await convertWell(changed, at('before.qcow2'), '--compress=zlib', '--keep', at('kept'))
    const [first] = JSON.parse(
      (await runTool([INGOT, 'map', changed, '--format', 'raw', '--json'])).toString(),
    ).extents as { offset: number }[]
    await using file = await open(changed, 'r+')
    await file.write('other', (first?.offset ?? 0) + 10_000) // far from where a unit begins
    await convertWell(changed, at('after.qcow2'), '--compress=zlib', '--keep', at('kept'))
    await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', changed, at('after.qcow2')])
  })

  it('keeps the map of an image until that is changed', async () => {
    const [image, keep] = [at('mapped.raw'), at('maps')]
    await copyFile(at('disk.raw'), image)
    await convertWell(image, at('mapped.qcow2'), '--keep', keep)
    const [name = ''] = await readdir(keep)
    const before = await readFile(join(keep, name))
    // Another name for the content, which only whoever believes the kept file can know.
    const identity = 'e'.repeat(64)
    const head = JSON.parse(before.toString('utf8', 0, before.indexOf('\n')))
    const forged = Buffer.from(`${JSON.stringify({ ...head, identity })}\n`)
    const bytes = Buffer.concat([forged, before.subarray(before.indexOf('\n') + 1)])
    await writeFile(join(keep, name), bytes)
    const told = async () =>
      JSON.parse(await convertWell('--json', image, at('mapped.vdi'), '--keep', keep)).identity
    assert.equal(await told(), identity)
    await using file = await open(image, 'r+')
    await file.write('x', 6 * MiB)
    assert.notEqual(await told(), identity)
    await convertWell(image, at('mapped.qcow2'), '--keep', keep)
    await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', image, at('mapped.qcow2')])
  })

  it('reads standard input and writes standard output', async () => {
    await convertWell(at('disk.raw'), at('piped.vdi'))
    const { code, stdout, stderr } = await runProcess(
      [INGOT, 'convert', '-q', '-', '-', '--format', 'raw'],
      { env: settings, input: await readFile(at('piped.vdi')), maxOutput: 64 * MiB },
    )
    assert.equal(code, 0, stderr.toString())
    assert.ok(stdout.equals(await readFile(at('disk.raw'))))
    await holdsOnly(at('temp'))
  })

  it('tells the digests of what it wrote, the content’s being the same for every format', async () => {
    const results = await Promise.all(
      ['told.vmdk', 'told.raw'].map(async (name) => {
        const told = JSON.parse(await convertWell('--json', at('disk.raw'), at(name)))
        const digest = createHash('sha256').update(await readFile(at(name)))
        assert.equal(told.sha256, digest.digest('hex'))
        assert.equal(told.virtualSize, SIZE)
        assert.equal(told.inputFormat, 'raw')
        return told.contentDigest
      }),
    )
    assert.match(results[0], /^[0-9a-f]{64}$/)
    assert.equal(results[0], results[1])
  })
})

describe('what cannot be converted', { skip }, () => {
  it('is refused with its findings when it is not safe, and the old output stays', async () => {
    await runTool([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      at('disk.raw'),
      '-F',
      'raw',
      at('layer.qcow2'),
    ])
    await writeFile(at('out/old.raw'), 'old')
    const { code, stdout } = await convert('--json', at('layer.qcow2'), at('out/old.raw'))
    assert.equal(code, 4)
    const { error } = JSON.parse(stdout)
    assert.equal(error.code, 'IMAGE_UNSAFE')
    assert.equal(error.details.findings[0].code, 'BACKING_FILE')
    assert.equal(await readFile(at('out/old.raw'), 'utf8'), 'old')
    await holdsOnly(at('out'), 'old.raw')
  })

  it('is refused when it is also the output, or the output is no file, or tells no format', async () => {
    const before = await readFile(at('disk.raw'))
    for (const words of [
      [at('disk.raw'), at('disk.raw')],
      [at('disk.raw'), at('disk')],
      [at('disk.raw'), at('disk.qcow2'), '--level', '20'],
    ])
      assert.equal((await convert(...words)).code, 2)
    assert.equal((await convert(at('disk.raw'), '/dev/null', '--format', 'raw')).code, 1)
    assert.equal((await convert(at('none.raw'), at('x.qcow2'))).code, 3)
    assert.ok(before.equals(await readFile(at('disk.raw'))))
  })

  it('ends with 1 when nobody reads its output any more', async () => {
    const child = startProcess([INGOT, 'convert', '-q', at('disk.raw'), '-', '--format', 'raw'], {
      env: settings,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout?.once('data', () => child.stdout?.destroy())
    let told = ''
    child.stderr?.on('data', (text: Buffer) => (told += text.toString()))
    assert.equal(await exitOf(child, 'ingot'), 1)
    assert.match(told, /standard output/)
  })

  it('leaves nothing when it is interrupted', async () => {
    const child = startProcess([INGOT, 'convert', '--json', '-', at('endless/disk.qcow2')], {
      env: settings,
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    const ended = exitOf(child, 'ingot')
    child.stdin?.on('error', () => {}) // it is not read to its end
    child.stdin?.write(await readFile(at('disk.raw')))
    // Some of it has come: the work is under way, and goes on for as long as the input is open.
    await untilItPrints(child, /"done":[1-9]/)
    killGroup(child, 'SIGINT')
    assert.equal(await ended, 130)
    await holdsOnly(at('endless'))
    await holdsOnly(at('temp'))
  })
})

const small = process.geteuid?.() === 0 ? false : 'needs root, to mount a small file system'
describe('a full disk', { skip: skip || small }, () => {
  after(async () => void (await runProcess(['umount', at('small')])))

  it('is said to be full, and nothing stays on it', async () => {
    await mkdir(at('small'))
    await runTool(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'ingot-test', at('small')])
    await runTool(['qemu-img', 'convert', '-c', '-O', 'qcow2', at('disk.raw'), at('packed.qcow2')])
    for (const input of ['disk.raw', 'packed.qcow2']) {
      const { code, stderr } = await convert(at(input), at('small/disk.vdi'))
      assert.equal(code, 1)
      assert.match(stderr, /no space left/)
      await holdsOnly(at('small'))
    }
  })
})
