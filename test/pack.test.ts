/** `ingot pack` as a process: an image is changed entirely or not at all. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { startTimeOf } from '../src/base/leftovers.ts'
import { exitOf, findProgram, runProcess, startProcess, stopProcess } from '../src/base/process.ts'
import { untilItPrints } from '../src/testing/processes.ts'
import { makeTinyImage } from '../src/testing/tiny-image.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const skip =
  process.geteuid?.() !== 0 ? 'needs root' : findProgram('bwrap') ? false : 'needs bubblewrap'
const directory = await mkdtemp(join(tmpdir(), 'ingot-pack-test-'))
after(() => rm(directory, { recursive: true, force: true }))

const GREETING = `
arguments:
  greeting: {default: hello}
  slow: {default: "no"}
validators:
  - directory: /etc/greetings
  - file:
      path: /etc/greetings/first
      template: "{{ greeting }}"
  - script:
      wait if told to:
        inline: |
          [ "$test_only" = 1 ] && exit 0
          if [ "$slow" = yes ]; then echo waiting; exec sleep 600; fi
        env_vars: [slow]
`
const FAILING = `
validators:
  - directory: /etc/greetings
  - script:
      fail:
        inline: |
          echo half >> /etc/hostname
          echo this is why >&2
          exit 3
`

let count = 0
async function makePlace(options: Parameters<typeof makeTinyImage>[1] = {}) {
  const own = join(directory, String(++count))
  await mkdir(own)
  const image = join(own, 'disk')
  await makeTinyImage(image, options)
  for (const [name, text] of Object.entries({ greeting: GREETING, failing: FAILING }))
    await writeFile(join(own, `${name}.yaml`), text)
  const digest = async () =>
    createHash('sha256')
      .update(await readFile(image))
      .digest('hex')
  const names = async () => (await readdir(own)).filter((name) => !name.endsWith('.yaml')).sort()
  const command = (recipe: string, ...words: string[]) => [
    INGOT,
    'pack',
    join(own, `${recipe}.yaml`),
    '--image',
    image,
    '--trusted',
    ...words,
  ]
  const pack = async (recipe: string, ...words: string[]) => {
    const { code, stdout, stderr } = await runProcess(command(recipe, ...words))
    return { code, stdout: stdout.toString(), stderr: stderr.toString() }
  }
  return { own, image, digest, names, command, pack }
}

describe('ingot pack', { skip, timeout: 300_000 }, () => {
  for (const format of ['raw', 'qcow2'] as const)
    it(`brings a ${format} image to the state of the recipe, keeps its format and mode, and finds it so the next time`, async () => {
      const { image, names, pack } = await makePlace({ format })
      await chmod(image, 0o640)
      const first = await pack('greeting', '--greeting', 'good day')
      assert.equal(first.code, 0, first.stderr)
      const { stdout } = await runProcess(['qemu-img', 'info', '--output=json', image])
      assert.equal((JSON.parse(stdout.toString()) as { format: string }).format, format)
      assert.equal((await stat(image)).mode & 0o777, 0o640)
      const report = await pack('greeting', '--greeting', 'good day', '--test-only', '--json')
      assert.equal(report.code, 0, report.stderr)
      assert.equal((JSON.parse(report.stdout) as { ok: boolean }).ok, true)
      assert.deepEqual(await names(), ['disk'])
    })

  it('does not write an image on which every step held', async () => {
    const { own, image, pack } = await makePlace()
    await writeFile(join(own, 'held.yaml'), 'validators: [{file: {path: /etc/hostname}}]')
    const before = await stat(image)
    assert.equal((await pack('held')).code, 0)
    const after = await stat(image)
    assert.deepEqual([after.ino, after.mtimeMs], [before.ino, before.mtimeMs])
  })

  it('leaves the image byte for byte as it was when a step fails, and says which one and why', async () => {
    const { digest, names, pack } = await makePlace()
    const before = await digest()
    const { code, stdout } = await pack('failing')
    assert.equal(code, 1)
    assert.match(stdout, /failed {2}script fail {2}\(.*failing\.yaml:4\)/)
    assert.match(stdout, /this is why/)
    assert.equal(await digest(), before)
    assert.deepEqual(await names(), ['disk'])
  })

  it('tells a check with differences (4) from a failure (1), and names every difference', async () => {
    const { digest, pack } = await makePlace()
    const before = await digest()
    const { code, stdout } = await pack('greeting', '--test-only')
    assert.equal(code, 4)
    assert.match(stdout, /\/etc\/greetings/)
    assert.match(stdout, /\/etc\/greetings\/first/)
    assert.equal(await digest(), before)
  })

  it('leaves the image as it was on Ctrl-C, and nothing beside it', async () => {
    const { digest, names, command } = await makePlace()
    const before = await digest()
    const child = startProcess(command('greeting', '--slow', 'yes', '--json'))
    const ended = exitOf(child, 'ingot')
    await untilItPrints(child, 'waiting')
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    assert.equal(await digest(), before)
    assert.deepEqual(await names(), ['disk'])
  })

  it('leaves the image as it was when it is killed, and the next run clears the working copy away', async () => {
    const { digest, names, command, pack } = await makePlace()
    const before = await digest()
    const child = startProcess(command('greeting', '--slow', 'yes', '--json'))
    const ended = exitOf(child, 'ingot')
    await untilItPrints(child, 'waiting')
    child.kill('SIGKILL')
    assert.equal(await ended, 137)
    assert.equal(await digest(), before)
    assert.equal((await names()).length, 2, 'the working copy of the dead run')
    assert.equal((await pack('greeting')).code, 0)
    assert.deepEqual(await names(), ['disk'])
  })

  it('refuses an image that another process is packing', async () => {
    const { own, pack } = await makePlace()
    const other = startProcess(['sleep', '600'])
    try {
      await writeFile(join(own, `.disk.ingot-${other.pid}-${startTimeOf(other.pid ?? 0)}-copy`), '')
      const { code, stderr } = await pack('greeting')
      assert.equal(code, 1)
      assert.match(stderr, new RegExp(`process ${other.pid} is packing it`))
    } finally {
      await stopProcess(other)
    }
  })

  it('refuses an image that is marked read-only, one that is missing, and what is no image', async () => {
    const { own, image, pack } = await makePlace()
    await chmod(image, 0o444)
    const readOnly = await pack('greeting')
    assert.deepEqual(
      [readOnly.code, /marked read-only/.test(readOnly.stderr)],
      [1, true],
      readOnly.stderr,
    )
    await rm(image, { force: true })
    const missing = await pack('greeting')
    assert.deepEqual([missing.code, /no image/.test(missing.stderr)], [3, true], missing.stderr)
    await writeFile(image, 'hello, this is a text file\n')
    const text = await pack('greeting')
    assert.equal(text.code, 1)
    assert.match(text.stderr, /not a multiple of 512|no disk image/)
    assert.deepEqual(
      (await readdir(own)).filter((name) => name.includes('ingot')),
      [],
    )
  })

  it('wants a word of trust before this host mounts an image', async () => {
    const { command } = await makePlace()
    const words = command('greeting', '--via', 'sandbox').filter((word) => word !== '--trusted')
    const { code, stderr } = await runProcess(words)
    assert.equal(code, 2)
    assert.match(stderr.toString(), /--trusted/)
  })

  it('says so when the disk of this host is full, and leaves the image as it was', async () => {
    const { own, image, command, digest } = await makePlace()
    const before = await digest()
    // A file system of its own that has room for the image, but not for a copy.
    const script = `mount -t tmpfs tmpfs "$1" && cp "$2" "$1/disk" &&
      mount -o remount,size=$(($(du -k "$1/disk" | cut -f1) * 3 / 2))k "$1" && shift 2 && "$@"`
    const small = join(own, 'small')
    await mkdir(small)
    const words = command('greeting').map((word) => (word === image ? join(small, 'disk') : word))
    const { code, stderr } = await runProcess([
      'unshare',
      '--mount',
      'sh',
      '-c',
      script,
      'sh',
      small,
      image,
      ...words,
    ])
    assert.equal(code, 1, stderr.toString())
    assert.match(stderr.toString(), /No space left/i)
    assert.equal(await digest(), before)
  })

  it('ends a script that takes longer than it may', async () => {
    const { digest, pack } = await makePlace()
    const before = await digest()
    const { code, stdout } = await pack('greeting', '--slow', 'yes', '--step-timeout', '1s')
    assert.equal(code, 1)
    assert.match(stdout, /did not end within 1 s/)
    assert.equal(await digest(), before)
  })

  it('writes a report for programs: JSON, or JUnit XML', async () => {
    const { own, pack } = await makePlace()
    for (const name of ['report.json', 'report.xml'])
      await pack('failing', '--report', join(own, name))
    const report = JSON.parse(await readFile(join(own, 'report.json'), 'utf8')) as {
      ok: boolean
      verdicts: { status: string }[]
    }
    assert.deepEqual(
      report.verdicts.map(({ status }) => status),
      ['changed', 'failed'],
    )
    const xml = await readFile(join(own, 'report.xml'), 'utf8')
    assert.match(xml, /<testsuite name="failing on disk" tests="2" failures="0" errors="1"/)
  })
})
