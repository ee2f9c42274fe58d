/** `ingot recipe` as a process. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { runProcess } from '../src/base/process.ts'

const ROOT = join(import.meta.dirname, '..')
const directory = await mkdtemp(join(tmpdir(), 'ingot-recipe-command-'))
after(() => rm(directory, { recursive: true }))

async function recipe(...words: string[]) {
  const { code, stdout, stderr } = await runProcess([join(ROOT, 'ingot'), 'recipe', ...words])
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}
async function write(name: string, text: string): Promise<string> {
  await writeFile(join(directory, name), text)
  return join(directory, name)
}

describe('ingot recipe check', () => {
  it('says that a good recipe has no faults', async () => {
    const { code, stderr } = await recipe('check', join(ROOT, 'recipes/web-server.yaml'))
    assert.equal(code, 0, stderr)
    assert.match(stderr, /no faults/)
  })

  it('prints every fault of every file as compilers do, and ends with 2', async () => {
    const one = await write('one.yaml', 'validators: [{pakage: a}, {script: none}]\n')
    const two = await write('two.yaml', 'validators: [\n')
    const { code, stdout, stderr } = await recipe('check', one, two)
    assert.equal(code, 2)
    assert.match(stdout, new RegExp(`^${one}:1:15: unknown validator 'pakage'`, 'm'))
    assert.match(stdout, new RegExp(`^${one}:1:36: no file 'none'`, 'm'))
    assert.match(stdout, new RegExp(`^${two}:2:1: `, 'm'))
    assert.match(stderr, /3 errors, 0 warnings/)
  })

  it('lets warnings pass, unless they are to count', async () => {
    const file = await write('warned.yaml', 'arguments: {a: {default: x}}\nvalidators: []\n')
    assert.equal((await recipe('check', file)).code, 0)
    assert.equal((await recipe('check', file, '--strict')).code, 2)
  })

  it('gives programs the faults as data', async () => {
    const file = await write('data.yaml', 'validators: [{pakage: a}]\n')
    const { stdout } = await recipe('--json', 'check', file)
    const { faults } = JSON.parse(stdout) as { faults: { place: { line: number } }[] }
    assert.equal(faults[0]?.place.line, 1)
  })

  it('says that a recipe is not there: 3', async () => {
    assert.equal((await recipe('check', join(directory, 'none.yaml'))).code, 3)
  })
})

describe('ingot recipe show', () => {
  it('shows arguments, steps, and what each flow would do', async () => {
    const { code, stdout } = await recipe('show', join(ROOT, 'recipes/web-server.yaml'))
    assert.equal(code, 0)
    assert.match(stdout, /^ {2}server_name +default localhost +the name that the site answers to$/m)
    assert.match(stdout, /^Steps +pack +validate +provision$/m)
    assert.match(stdout, /^ {2}service nginx +repair +check +repair$/m)
  })

  it('gives programs the same as data', async () => {
    const { stdout } = await recipe('show', '--json', join(ROOT, 'recipes/web-server.yaml'))
    assert.equal((JSON.parse(stdout) as { name: string }).name, 'web-server')
  })
})

describe('ingot recipe schema', () => {
  it('prints the JSON Schema that is published', async () => {
    const { stdout } = await recipe('schema')
    assert.equal((JSON.parse(stdout) as { title: string }).title, 'A recipe of Ingot')
  })
})
