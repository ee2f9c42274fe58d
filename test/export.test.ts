/** `ingot convert` as a process, where what is made holds the guest and not its disk. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { runProcess, runTool } from '../src/base/process.ts'
import { tempDir } from '../src/testing/temp-dir.ts'
import { makeTinyImage } from '../src/testing/tiny-image.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const at = await tempDir()
const environment = { ...(process.env as Record<string, string>), TMPDIR: at('temp') }

before(async () => {
  for (const name of ['out', 'temp', 'small']) await mkdir(at(name))
  await makeTinyImage(at('disk.qcow2'), { format: 'qcow2' })
})

async function convert(...words: string[]) {
  const { code, stdout, stderr } = await runProcess([INGOT, 'convert', ...words], {
    env: environment,
  })
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}

describe('ingot convert to what holds a guest', () => {
  it('tells the form by the ending, and says what was made', async () => {
    const { code, stdout } = await convert(at('disk.qcow2'), at('out/rootfs.tar.zst'))
    assert.equal(code, 0)
    assert.match(stdout, /^rootfs\.tar\.zst: \d+ KiB\n$/)
    const listed = (await runTool(['tar', '--zstd', '-tf', at('out/rootfs.tar.zst')])).toString()
    assert.match(listed, /^etc\/os-release$/m)
  })

  it('gives one JSON object with every file and its digest', async () => {
    const words = ['--format', 'incus', '--json', at('disk.qcow2'), at('out/tiny.tar.xz')]
    const { code, stdout } = await convert(...words)
    assert.equal(code, 0)
    const { files, ...rest } = JSON.parse(stdout)
    assert.deepEqual(rest, {
      input: at('disk.qcow2'),
      output: at('out/tiny.tar.xz'),
      format: 'incus',
      left: [],
    })
    const wanted = ['tiny.tar.xz', 'tiny.squashfs'].map(async (name) => {
      const content = await readFile(at(`out/${name}`))
      const sha256 = createHash('sha256').update(content).digest('hex')
      return { path: at(`out/${name}`), size: content.length, sha256 }
    })
    assert.deepEqual(files, await Promise.all(wanted))
  })

  it('is wrong use with flags of disks, and with - for a file', async () => {
    for (const words of [
      ['--level', '3', at('disk.qcow2'), at('out/no.squashfs')],
      ['--compress', 'zlib', at('disk.qcow2'), at('out/no.squashfs')],
      ['--format', 'squashfs', at('disk.qcow2'), '-'],
      ['--format', 'lxc', at('disk.qcow2'), at('out/no.zip')],
      ['--via', 'read', at('disk.qcow2'), at('out/no.raw')],
    ])
      assert.equal((await convert(...words)).code, 2, words.join(' '))
  })

  it('refuses an unsafe image with exit code 4', async () => {
    const path = at('unsafe.qcow2')
    const backing = ['-b', at('disk.qcow2'), '-F', 'qcow2']
    await runTool(['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, path])
    const { code, stderr } = await convert(path, at('out/no.squashfs'))
    assert.equal(code, 4)
    assert.match(stderr, /names another file/)
  })

  for (const [form, output] of [
    ['rootfs.tar', 'full.tar'],
    ['rootfs.tar.xz', 'full.tar.xz'],
    ['incus', 'full.tar.gz'],
  ] as const)
    it(
      `leaves nothing of ${form} on a full disk, and says that it is full`,
      { skip: process.geteuid?.() === 0 ? false : 'only root can mount a small disk' },
      async () => {
        const script =
          'mount -t tmpfs -o size=300k tmpfs "$0"; "$@"; code=$?; ls -A "$0"; exit $code'
        const words = ['convert', '--format', form, at('disk.qcow2'), at(`small/${output}`)]
        const { code, stdout, stderr } = await runProcess(
          ['unshare', '--mount', 'sh', '-c', script, at('small'), INGOT, ...words],
          { env: environment },
        )
        assert.deepEqual({ code, left: stdout.toString() }, { code: 1, left: '' })
        assert.match(stderr.toString(), /no space left/i)
      },
    )

  it('leaves nothing where it worked', async () => {
    assert.deepEqual(await readdir(at('temp')), [])
    assert.deepEqual((await readdir(at('out'))).sort(), [
      'rootfs.tar.zst',
      'tiny.squashfs',
      'tiny.tar.xz',
    ]) // prettier-ignore
  })
})
