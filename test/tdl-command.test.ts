/** `ingot tdl` as a process. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runProcess } from '../src/base/process.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const ROOT = join(import.meta.dirname, '..')
const EXAMPLES = join(ROOT, 'examples/tdl')
const path = await tempDir()

async function ingot(...words: string[]) {
  const { code, stdout, stderr } = await runProcess([join(ROOT, 'ingot'), ...words])
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}

async function write(name: string, text: string | Uint8Array): Promise<string> {
  await writeFile(path(name), text)
  return path(name)
}

describe('ingot tdl check', () => {
  it('says that the examples have no faults', async () => {
    const files = ['debian-12.tdl', 'everything.tdl'].map((name) => join(EXAMPLES, name))
    const { code, stderr } = await ingot('tdl', 'check', '--strict', ...files)
    assert.equal(code, 0, stderr)
    assert.match(stderr, /no faults/)
  })

  it('prints every fault of every file, also where one is no XML or no text, and ends with 2', async () => {
    const one = await write('one.tdl', '<template>\n  <nam>a</nam>\n</template>')
    const two = await write('two.tdl', '<template>')
    const three = await write('three.tdl', Uint8Array.of(0x3c, 0xff))
    const { code, stdout } = await ingot('tdl', 'check', one, two, three)
    assert.equal(code, 2)
    for (const fault of [
      `${one}:1:1: <template> lacks its element <name>`,
      `${one}:1:1: <template> lacks its element <os>`,
      `${one}:2:3: <nam> cannot stand in <template>; did you mean 'name'?`,
      `${two}:1:1: this is no well-formed XML`,
      `${three}:1:2: wanted a template in UTF-8`,
    ])
      assert.ok(stdout.includes(fault), `${fault}\n${stdout}`)
  })

  it('wants the password of root if asked to, and gives programs data', async () => {
    const { code, stdout } = await ingot(
      'tdl',
      '--json',
      'check',
      '--require-root-password',
      join(EXAMPLES, 'debian-12.tdl'),
    )
    assert.equal(code, 2)
    const { faults } = JSON.parse(stdout) as { faults: { message: string }[] }
    assert.match(faults[0]?.message ?? '', /<rootpw>, which is required/)
  })

  it('says that a template is not there: 3', async () => {
    assert.equal((await ingot('tdl', 'check', path('none.tdl'))).code, 3)
  })
})

describe('ingot tdl show', () => {
  it('prints a recipe that ingot takes, with what is not in it as comments', async () => {
    const { code, stdout } = await ingot('tdl', 'show', join(EXAMPLES, 'everything.tdl'))
    assert.equal(code, 0)
    assert.match(stdout, /^# For the OS builder:\n# {3}system: +Fedora 42 x86_64$/m)
    const recipe = await write('shown.yaml', stdout)
    assert.equal((await ingot('recipe', 'check', recipe)).code, 0)
  })

  it('shows secrets only when told to', async () => {
    const file = join(EXAMPLES, 'everything.tdl')
    const masked = await ingot('tdl', 'show', file)
    assert.doesNotMatch(masked.stdout, /correct horse|AAAAA/)
    assert.match(masked.stdout, /root password: +\*\*\*/)
    assert.match((await ingot('tdl', 'show', '--show-secrets', file)).stdout, /correct horse/)
  })

  it('refuses a template with faults: 2', async () => {
    const { code, stderr } = await ingot('tdl', 'show', await write('bad.tdl', '<template/>'))
    assert.equal(code, 2)
    assert.match(stderr, /bad\.tdl:1:1: <template> lacks/)
  })
})
