/** The main job, for real: a golden image built twice alike, judged by others' tools, changed, checked and booted. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import { exitOf, findProgram, runProcess, runTool, startProcess } from '../src/base/process.ts'
import { untilItPrints } from '../src/testing/processes.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const needed = ['mmdebstrap', 'bwrap', 'qemu-img', 'sgdisk', 'qemu-system-x86_64']
const missing = needed.filter((name) => findProgram(name) === undefined)
const skip =
  process.geteuid?.() !== 0
    ? 'needs root'
    : missing.length > 0
      ? `needs ${missing.join(', ')}`
      : false
const directory = await mkdtemp(join(tmpdir(), 'ingot-build-test-'))
after(() => rm(directory, { recursive: true, force: true }))

const RECIPE = `
name: golden
arguments:
  greeting: {default: hello}
base: {distro: debian, release: bookworm, packages: [openssh-server, sudo]}
disk: {size: 2G}
validators:
  - file: {path: /etc/greeting, template: "{{ greeting }}"}
  - service: ssh
`
const recipe = join(directory, 'golden.yaml')
const image = join(directory, 'first', 'golden.raw')

async function ingot(...words: string[]) {
  const { code, stdout, stderr } = await runProcess([INGOT, ...words])
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

describe('a golden image', { skip, timeout: 1_500_000 }, () => {
  before(async () => {
    await writeFile(recipe, RECIPE)
    await mkdir(join(directory, 'first'))
    const { code, stderr } = await ingot('build', recipe, '--output', image)
    assert.equal(code, 0, stderr)
  })

  it('is the same bit for bit when it is built again from the same packages', async () => {
    await mkdir(join(directory, 'second'))
    const again = join(directory, 'second', 'golden.raw')
    const { code, stderr } = await ingot('build', recipe, '--output', again)
    assert.equal(code, 0, stderr)
    assert.equal(await sha256Of(again), await sha256Of(image))
    const [first, second] = await Promise.all(
      ['first', 'second'].map((name) =>
        readFile(join(directory, name, 'golden.spdx.json'), 'utf8'),
      ),
    )
    assert.equal(second, first)
    await rm(join(directory, 'second'), { recursive: true })
  })

  it('is a sound disk in the eyes of the tools of others', async () => {
    const { stdout } = await runProcess(['sgdisk', '--verify', image])
    assert.match(stdout.toString(), /No problems found/)
    const listing = JSON.parse((await runTool(['sfdisk', '--json', image])).toString()) as {
      partitiontable: { partitions: { start: number; size: number; type: string }[] }
    }
    const root = listing.partitiontable.partitions.find(
      ({ type }) => type.startsWith('0FC63DAF') || type.startsWith('4F68BCE3'),
    )
    assert.ok(root)
    const part = join(directory, 'root.ext4')
    await runTool([
      'dd',
      `if=${image}`,
      `of=${part}`,
      'bs=1M',
      'iflag=skip_bytes,count_bytes',
      `skip=${root.start * 512}`,
      `count=${root.size * 512}`,
      'conv=sparse',
      'status=none',
    ])
    const { code, stdout: checked } = await runProcess(['e2fsck', '-f', '-n', part])
    assert.equal(code, 0, checked.toString())
    await rm(part)
  })

  it('comes with a record of what is inside', async () => {
    const manifest = JSON.parse(
      await readFile(join(directory, 'first', 'golden.manifest.json'), 'utf8'),
    ) as { image: { sha256: string }; packages: { name: string; version: string }[] }
    assert.equal(manifest.image.sha256, await sha256Of(image))
    const names = manifest.packages.map(({ name }) => name)
    for (const name of ['openssh-server', 'sudo', 'cloud-init', 'linux-image-cloud-amd64'])
      assert.ok(names.includes(name), name)
    const sbom = JSON.parse(
      await readFile(join(directory, 'first', 'golden.spdx.json'), 'utf8'),
    ) as {
      spdxVersion: string
      packages: { name: string; externalRefs?: { referenceLocator: string }[] }[]
    }
    assert.equal(sbom.spdxVersion, 'SPDX-2.3')
    const sudo = sbom.packages.find(({ name }) => name === 'sudo')
    assert.match(sudo?.externalRefs?.[0]?.referenceLocator ?? '', /^pkg:deb\/debian\/sudo@/)
  })

  it('is as its recipe says, by reading alone, and not as another greeting would have it', async () => {
    assert.equal((await ingot('validate', recipe, '--image', image, '--via', 'read')).code, 0)
    assert.equal(
      (await ingot('validate', recipe, '--image', image, '--via', 'read', '--greeting', 'bye'))
        .code,
      4,
    )
  })

  it('boots, and the running machine is as the recipe says', async () => {
    const { code, stdout, stderr } = await ingot('boot-test', image, '--recipe', recipe, '--json')
    assert.equal(code, 0, stderr.slice(-4000))
    const { boot, recipe: report } = JSON.parse(stdout) as {
      boot: { passed: boolean }
      recipe: { ok: boolean }
    }
    assert.deepEqual([boot.passed, report.ok], [true, true])
  })

  if (process.env['INGOT_TEST_FULL'])
    it('boots by UEFI too', async () => {
      const { code, stderr } = await ingot('boot-test', image, '--firmware', 'uefi', '--json')
      assert.equal(code, 0, stderr.slice(-4000))
    })

  it('is not there at all when the build is interrupted or fails, and neither is anything else', async () => {
    const own = join(directory, 'interrupted')
    await mkdir(own)
    const child = startProcess([
      INGOT,
      'build',
      recipe,
      '--output',
      join(own, 'golden.raw'),
      '--json',
    ])
    const ended = exitOf(child, 'ingot')
    await untilItPrints(child, 'packages')
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    assert.deepEqual(await readdir(own), [])
    const failing = join(directory, 'failing.yaml')
    await writeFile(
      failing,
      RECIPE.replace('packages: [openssh-server, sudo]', 'packages: [no-such-package-anywhere]'),
    )
    const { code, stderr } = await ingot('build', failing, '--output', join(own, 'golden.raw'))
    assert.equal(code, 1)
    assert.match(stderr, /no-such-package-anywhere/)
    assert.deepEqual(await readdir(own), [])
  })
})
