import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { before, describe, it } from 'node:test'
import { type Context, makeContext } from '../base/context.ts'
import { runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { openFileSource } from '../bytes/source.ts'
import { openExt } from '../formats/ext.ts'
import { failsWith } from '../testing/fails-with.ts'
import { CAPABILITY, layRichGuest } from '../testing/rich-guest.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { makeTinyImage, type TinyImage } from '../testing/tiny-image.ts'
import { exportFormatOf, exportFormatOfPath } from './export-formats.ts'
import { type ExportOptions, exportImage } from './export-image.ts'

const at = await tempDir()
const skip = process.geteuid?.() === 0 ? false : 'only root can make devices'
const KERNEL = Buffer.alloc(70_000, 7)
KERNEL.write('HdrS', 514)
const RAMDISK = Buffer.concat([Buffer.from('070701'), Buffer.alloc(3000, 8)])
let image: TinyImage

before(async () => {
  for (const name of ['out', 'temp']) await mkdir(at(name))
  const files = {
    '/boot/vmlinuz-6.1.0-9': { content: KERNEL },
    '/boot/initrd.img-6.1.0-9': { content: RAMDISK },
  }
  if (!skip) image = await makeTinyImage(at('disk'), { size: 64 * MiB, files, lay: layRichGuest })
})

async function make(
  name: string,
  output: string,
  options: Partial<ExportOptions> = {},
  context: Partial<Context> = {},
) {
  const format = exportFormatOf(name)
  assert.ok(format, name)
  const given = {
    path: at('disk'),
    format,
    output: at(`out/${output}`),
    via: 'auto',
    trusted: false,
    tempDir: at('temp'),
    cacheDir: at('cache'),
    chooseAccelerator: async () => assert.fail('no appliance is needed'),
  } as const
  return await exportImage({ ...given, ...options }, makeContext(context))
}

/** Another name for the image. */
async function linked(name: string): Promise<string> {
  await symlink(at('disk'), at(name))
  return at(name)
}

const lines = async (argv: readonly string[]) =>
  (await runTool(argv)).toString().trim().split('\n').map((line) => line.replaceAll(/ +/g, ' ')) // prettier-ignore

describe('an exported guest', { skip }, () => {
  it('is one archive, packed in four ways', async () => {
    const unpackers = { '': 'cat', '.gz': 'zcat', '.xz': 'xzcat', '.zst': 'zstdcat' }
    const contents: Buffer[] = []
    for (const [ending, program] of Object.entries(unpackers)) {
      const name = `rootfs.tar${ending}`
      const { files, left } = await make(name, name)
      const { size } = await stat(at(`out/${name}`))
      assert.deepEqual({ files, left }, { files: [{ path: at(`out/${name}`), size }], left: [] })
      contents.push(await runTool([program, at(`out/${name}`)], { maxOutput: 64 * MiB }))
    }
    const [plain, ...packed] = contents
    assert.ok(plain && plain.length > MiB)
    for (const content of packed) assert.ok(content.equals(plain))
    const listed = await lines(['tar', '--utc', '-tvf', at('out/rootfs.tar')])
    assert.ok(listed.includes('crw------- 0/0 5,1 2025-01-02 00:00 srv/special/console'))
    assert.ok(listed.includes('-rw-r----- 0/0 26 2025-01-02 00:00 etc/shadow'))
  })

  it('is a squashfs with owners, devices, attributes and the attributes of its root', async () => {
    const { left } = await make('squashfs', 'one.squashfs')
    assert.deepEqual(left, [
      'access lists of 1 files: squashfs has none',
      'times of 1 files: squashfs counts from 1970 to 2106',
    ])
    const listed = await lines(['unsquashfs', '-UTC', '-lln', at('out/one.squashfs')])
    for (const line of [
      'crw------- 0/0 5, 1 2025-01-02 00:00 squashfs-root/srv/special/console',
      '-rwsr-x--x 1000/2000 1 1970-01-01 00:00 squashfs-root/srv/owned/set-uid',
      'lrwxrwxrwx 0/0 11 2025-01-02 00:00 squashfs-root/srv/absolute -> /etc/passwd',
      '-rw-r--r-- 0/0 41943040 2025-01-02 00:00 squashfs-root/srv/sparse/holes',
    ])
      assert.ok(listed.includes(line), line)
    assert.match(listed[0] ?? '', /^drwxr-xr-x 0\/0 .* squashfs-root$/)
    const tree = at('unsquashed')
    await runTool(['unsquashfs', '-no-progress', '-d', tree, at('out/one.squashfs'), 'srv/attributes', 'srv/links']) // prettier-ignore
    const words = ['getfattr', '-n', 'security.capability', '-e', 'hex', '--absolute-names']
    const shown = await runTool([...words, `${tree}/srv/attributes/ping`])
    assert.match(shown.toString(), new RegExp(`=0x${CAPABILITY.toString('hex')}`))
    assert.equal((await stat(`${tree}/srv/links/c-third`)).nlink, 3)
    await make('squashfs', 'other.squashfs')
    const [one, other] = ['one', 'other'].map((name) => readFile(at(`out/${name}.squashfs`)))
    assert.ok((await one)?.equals((await other) ?? Buffer.alloc(0)))
  })

  it('is an image for Incus, in two files or in one', async () => {
    const { files } = await make('incus', 'split.tar.xz')
    assert.deepEqual(
      files.map(({ path }) => path),
      [at('out/split.tar.xz'), at('out/split.squashfs')],
    )
    assert.deepEqual(await lines(['tar', '-tf', at('out/split.tar.xz')]), [
      'metadata.yaml',
      'templates/',
      'templates/hostname.tpl',
    ])
    await make('incus-unified', 'unified.tar.zst')
    const listed = await lines(['tar', '--zstd', '-tvf', at('out/unified.tar.zst')])
    assert.match(listed[0] ?? '', / metadata\.yaml$/)
    assert.match(listed[3] ?? '', / rootfs\/$/)
    assert.ok(listed.slice(3).every((line) => line.includes(' rootfs/')))
    assert.ok(
      listed.some((line) =>
        line.endsWith(' rootfs/srv/links/c-third link to rootfs/srv/links/a-second'),
      ),
    )
  })

  it('is an image for LXC, in two files', async () => {
    const { files } = await make('lxc', 'meta.tar.xz')
    assert.deepEqual(
      files.map(({ path }) => path),
      [at('out/meta.tar.xz'), at('out/rootfs.tar.xz')],
    )
    const excluded = await lines(['tar', '-xJOf', at('out/meta.tar.xz'), 'excludes-user'])
    assert.deepEqual(excluded, ['srv/special/console', 'srv/special/disk'])
    const { files: named } = await make('lxc', 'tiny.tar.xz')
    assert.equal(named[1]?.path, at('out/tiny.rootfs.tar.xz'))
  })

  it('is a machine, a kernel and a ramdisk image', async () => {
    const { files } = await make('ami', 'tiny.ami')
    assert.deepEqual(
      files.map(({ path }) => path),
      ['ami', 'aki', 'ari'].map((ending) => at(`out/tiny.${ending}`)),
    )
    assert.ok((await readFile(at('out/tiny.aki'))).equals(KERNEL))
    assert.ok((await readFile(at('out/tiny.ari'))).equals(RAMDISK))
    const machine = at('out/tiny.ami')
    const place = image.fileSystems[0]
    assert.ok(place)
    assert.equal((await stat(machine)).size, place.length)
    const disk = await readFile(image.path)
    const window = disk.subarray(place.offset, place.offset + place.length)
    assert.ok((await readFile(machine)).equals(window))
    assert.ok((await stat(machine)).blocks * 512 < place.length / 2, 'it has holes')
    await runTool(['e2fsck', '-fn', machine])
    await using source = await openFileSource(machine)
    const ext = await openExt(source)
    assert.ok((await ext.entries(await ext.inode(ext.root))).has('srv'))
  })
})

describe('an export', { skip }, () => {
  it('leaves nothing when it is interrupted, and what was there stays', async () => {
    await writeFile(at('out/kept.tar.xz'), 'mine')
    const before = await readdir(at('out'))
    const stop = new AbortController()
    let writes = 0
    const progress: Context['progress'] = (event) => {
      if (event.kind === 'phase' && event.name === 'write' && ++writes === 2) stop.abort()
    }
    const made = make('incus', 'kept.tar.xz', {}, { signal: stop.signal, progress })
    await assert.rejects(made, failsWith('INTERRUPTED'))
    assert.equal(writes, 2)
    assert.deepEqual(await readdir(at('out')), before)
    assert.deepEqual(await readdir(at('temp')), [])
    assert.equal((await readFile(at('out/kept.tar.xz'))).toString(), 'mine')
  })

  it('refuses an unsafe image before anything is written', async () => {
    const path = at('unsafe')
    await runTool(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at('disk'), '-F', 'raw', path])
    await assert.rejects(make('squashfs', 'no.squashfs', { path }), failsWith('IMAGE_UNSAFE'))
  })

  it('goes by another way where reading cannot answer, if the image is trusted', async () => {
    const path = at('bytes')
    await makeTinyImage(path, {
      format: 'qcow2',
      lay: async (tree) =>
        void (await runTool(['sh', '-c', 'touch "$0/$(printf \'srv/\\377\')"', tree])),
    })
    await make('rootfs.tar', 'bytes.tar', { path, trusted: true })
    const listed = await lines(['tar', '-tf', at('out/bytes.tar')])
    assert.ok(listed.includes('srv/\\377'))
  })

  it('refuses what does not fit', async () => {
    for (const [name, output, code] of [
      ['incus', 'a.zip', 'USAGE'],
      ['lxc', 'a.tar.gz', 'USAGE'],
      ['ami', 'a.img', 'USAGE'],
      ['rootfs.tar', '../disk', 'USAGE'],
      ['rootfs.tar', '../temp', 'FILE_UNREADABLE'],
      ['rootfs.tar', 'no/such/place.tar', 'FILE_NOT_FOUND'],
    ] as const)
      await assert.rejects(make(name, output), failsWith(code), `${name} ${output}`)
    const sibling = make('incus', '../split.tar.xz', { path: await linked('split.squashfs') })
    await assert.rejects(sibling, failsWith('USAGE'))
    const missing = make('rootfs.tar', 'a.tar', { path: at('missing') })
    await assert.rejects(missing, failsWith('FILE_NOT_FOUND'))
    const untrusted = make('rootfs.tar', 'a.tar', { via: 'sandbox' })
    await assert.rejects(untrusted, failsWith('NEEDS_TRUST'))
  })

  it('of a machine image needs a kernel', async () => {
    const path = at('no-kernel')
    await makeTinyImage(path)
    await assert.rejects(make('ami', 'none.ami', { path }), failsWith('NO_OPERATING_SYSTEM'))
  })
})

describe('the format of an export', () => {
  it('is told by the name of its output', () => {
    for (const [path, name] of [
      ['out/rootfs.tar', 'rootfs.tar'],
      ['debian.rootfs.tar.xz', 'rootfs.tar.xz'],
      ['debian-rootfs.TAR.ZST', 'rootfs.tar.zst'],
      ['debian.squashfs', 'squashfs'],
      ['debian.ami', 'ami'],
      ['debian.tar.gz', undefined],
      ['notrootfs.tar', undefined],
      ['debian.qcow2', undefined],
    ] as const)
      assert.equal(exportFormatOfPath(path)?.name, name, path)
  })
})
