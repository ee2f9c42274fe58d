/** `ingot sahara-image-pack` as a process, on plugins laid out as Sahara's are. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { findProgram, runProcess } from '../src/base/process.ts'
import { makeTinyImage } from '../src/testing/tiny-image.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const PLUGINS = join(import.meta.dirname, 'sahara/plugins')
const skip =
  process.geteuid?.() !== 0 ? 'needs root' : findProgram('bwrap') ? false : 'needs bubblewrap'

async function pack(...words: string[]) {
  const argv = [INGOT, 'sahara-image-pack', '--plugin-path', PLUGINS, ...words]
  const { code, stdout, stderr } = await runProcess(argv)
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}

/** What is said before an image is found missing. */
const say = async (...words: string[]) => (await pack('--image', '/none', ...words)).stderr

describe('the menu of ingot sahara-image-pack', () => {
  it('lists plugins and their versions; one bad recipe does not kill it (6.4 #1, 2.1)', async () => {
    const { code, stdout } = await pack('--help')
    assert.equal(code, 0)
    assert.match(stdout, /broken {2}any/)
    assert.match(stdout, /versioned {2}1\.10\.0, 1\.7\.0/)
  })

  it('lists the versions of a plugin', async () => {
    const { code, stdout } = await pack('versioned', '--help')
    assert.equal(code, 0)
    assert.match(stdout, /Versions: 1\.10\.0, 1\.7\.0/)
  })

  // Behaviour 32: arguments of a plugin, per version.
  it('lists the arguments of a version, with description, default and choices', async () => {
    const { code, stdout } = await pack('shared', '1.0', '--help')
    assert.equal(code, 0)
    assert.match(
      stdout,
      /--plugin_version <value>[^-]*\(default: "1\.10"\) \(choices: "1\.10", "1\.9"\)/s,
    )
    assert.match(stdout, /-n <value> +A name of one letter becomes -n/)
  })

  it('says all that is wrong with a bad recipe, when that one is asked for', async () => {
    const { code, stderr } = await pack('--image', 'x', 'broken', '1')
    assert.equal(code, 2)
    assert.match(stderr, /image\.yaml:2:3: 'distro' is given to every step/)
    assert.match(stderr, /image\.yaml:4:5: unknown validator 'pakage'; did you mean 'package'/)
  })
})

describe('wrong use of ingot sahara-image-pack ends with 2, without a traceback', () => {
  const cases: Record<string, { words: string[]; says: RegExp }> = {
    'no image': { words: ['versioned', '1.7.0'], says: /--image/ },
    'no such plugin': { words: ['--image', 'x', 'versiond'], says: /did you mean 'versioned'/ },
    'no such version': { words: ['--image', 'x', 'versioned', '9'], says: /it has 1\.10\.0, 1\.7/ },
    'an argument nobody declares': {
      words: ['--image', 'x', 'versioned', '1.10.0', '--gretings', 'x'],
      says: /unknown option '--gretings'/,
    },
    'a value that is no choice': {
      words: ['--image', 'x', 'versioned', '1.10.0', '--greeting', 'ciao'],
      says: /Allowed choices are hello, bonjour/,
    },
  }
  for (const [name, { words, says }] of Object.entries(cases))
    it(name, async () => {
      const { code, stderr } = await pack(...words)
      assert.equal(code, 2)
      assert.match(stderr, says)
      assert.doesNotMatch(stderr, /^ +at /m)
    })

  it('says so when the version asked for is not the one that the recipe installs', async () => {
    assert.match(await say('shared', '1.9'), /note: this packs 1\.10, not 1\.9/)
    assert.doesNotMatch(await say('shared', '1.9', '--plugin_version', '1.9'), /note/)
    assert.doesNotMatch(await say('shared', '1.10.mrv2'), /note/)
  })

  it('an image that is not there is another matter: 3', async () => {
    assert.equal((await pack('--image', '/nonexistent', 'versioned', '1.10.0')).code, 3)
  })
})

describe('ingot sahara-image-pack', { skip }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-sahara-'))
  after(() => rm(directory, { recursive: true }))
  const image = join(directory, 'disk.qcow2')
  await makeTinyImage(image, { format: 'qcow2' })
  const digest = async () =>
    createHash('sha256')
      .update(await readFile(image))
      .digest('hex')
  const run = (...words: string[]) => pack('--image', image, '--trusted', ...words)

  it('tells a difference (4) from a failure, and test-only does not touch the image (6.4 #16)', async () => {
    const before = await digest()
    const { code, stdout } = await run('--test-only', 'versioned', '1.10.0')
    assert.equal(code, 4)
    assert.match(stdout, /\/etc\/greeting differs/)
    assert.equal(await digest(), before)
  })

  it('packs, with the options of OpenStack’s tools accepted and said to mean nothing', async () => {
    const logs = ['--config-file', 'sahara.conf', '--debug', '--nouse-syslog']
    const { code, stderr } = await run(...logs, 'versioned', '1.10.0', '--greeting', 'bonjour')
    assert.equal(code, 0, stderr)
    assert.match(stderr, /note: --config-file is for Sahara's/)
    assert.match(stderr, /Finished packing image for versioned at version 1\.10\.0/)
  })

  it('finds the image as the recipe says afterwards, and not by another value', async () => {
    const check = ['--test-only', 'versioned', '1.10.0', '--greeting']
    assert.equal((await run(...check, 'bonjour')).code, 0)
    assert.equal((await run(...check, 'hello')).code, 4)
  })

  it('takes a raw image and a root file system that is named (6.4 #4, #5)', async () => {
    const raw = join(directory, 'disk.raw')
    await makeTinyImage(raw, { twoRoots: true })
    const words = ['--image', raw, '--trusted', 'versioned', '1.10.0']
    const several = await pack(...words)
    assert.equal(several.code, 2)
    assert.match(several.stderr, /--root-filesystem/)
    const named = await pack('--root-filesystem', '/dev/sda2', ...words)
    assert.equal(named.code, 0, named.stderr)
  })
})
