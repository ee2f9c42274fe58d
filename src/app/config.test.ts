import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { argumentFromEnvironment, loadConfig, SETTINGS } from './config.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-config-test-'))
after(() => rm(directory, { recursive: true }))

async function configFile(text: string): Promise<string> {
  const path = join(directory, `${text.length}-${Math.abs(text.charCodeAt(0))}.yaml`)
  await writeFile(path, text)
  return path
}

const env = { XDG_CONFIG_HOME: directory }

test('every setting has a default, a meaning and a source', () => {
  const { sources } = loadConfig({ env })
  for (const { path, description } of SETTINGS) {
    assert.ok(description, path.join('.'))
    assert.equal(sources.get(path.join('.')), 'default')
  }
})

test('flags win over the environment, that over the file, that over defaults', async () => {
  const file = await configFile('jobs: 2\naccelerator: tcg\ncommand_timeout_s: 60\n')
  const { config, sources } = loadConfig({
    file,
    env: { ...env, INGOT_ACCELERATOR: 'kvm', INGOT_COMMAND_TIMEOUT_S: '90' },
    flags: { command_timeout_s: 5 },
  })
  assert.deepEqual([config.jobs, config.accelerator, config.command_timeout_s], [2, 'kvm', 5])
  assert.equal(sources.get('jobs'), `file ${file}`)
  assert.equal(sources.get('accelerator'), 'environment INGOT_ACCELERATOR')
  assert.equal(sources.get('command_timeout_s'), 'flag')
})

test('an unknown or wrong setting is refused with where it stands and what was wanted', async () => {
  const misspelt = await configFile('cache_dri: /tmp\n')
  assert.match(
    refusal(() => loadConfig({ file: misspelt, env })),
    /unknown setting 'cache_dri'; did you mean 'cache_dir'\?/,
  )
  assert.match(
    refusal(() => loadConfig({ env: { ...env, INGOT_JOBS: 'many' } })),
    /environment INGOT_JOBS: jobs: wanted a whole number, found "many"/,
  )
  const noYaml = await configFile(': : :\n  - x\n')
  assert.match(
    refusal(() => loadConfig({ file: noYaml, env })),
    /: Nested mappings are not allowed .* at line 1, column 3$/,
  )
  const list = await configFile('- a\n')
  assert.match(
    refusal(() => loadConfig({ file: list, env })),
    /wanted a mapping/,
  )
})

test('sections are laid over key by key, lists as a whole', async () => {
  const file = await configFile('image:\n  page_size: 7\nimport: { methods: [web-download] }\n')
  const { config, sources } = loadConfig({
    file,
    env: { ...env, INGOT_IMAGE_MAX_TAGS: '5', INGOT_IMPORT_STEPS: 'convert, introspect' },
  })
  assert.deepEqual(
    [config.image.page_size, config.image.max_tags, config.image.max_members],
    [7, 5, 128],
  )
  assert.deepEqual(config.import.methods, ['web-download'])
  assert.deepEqual(config.import.steps, ['convert', 'introspect'])
  assert.equal(sources.get('image.page_size'), `file ${file}`)
  const misspelt = await configFile('image: { page_siz: 7 }\n')
  assert.match(
    refusal(() => loadConfig({ file: misspelt, env })),
    /unknown setting 'image.page_siz'; did you mean 'page_size'\?/,
  )
})

test('a section for Keystone is completed when it is there', async () => {
  const file = await configFile(
    'auth:\n  mode: keystone\n  keystone: { auth_url: "http://k/v3", username: u, password: p }\n',
  )
  const { config } = loadConfig({ file, env })
  assert.equal(config.auth.keystone?.project_name, 'service')
  assert.equal(loadConfig({ env }).config.auth.keystone, undefined)
})

test('a configuration file that was named must be there', () => {
  assert.throws(
    () => loadConfig({ file: join(directory, 'none.yaml'), env }),
    failsWith('FILE_NOT_FOUND'),
  )
})

test('nobody can change the configuration once it is loaded', () => {
  const { config } = loadConfig({ env })
  assert.throws(() => Object.assign(config, { jobs: 99 }), TypeError)
})

test('the environment gives values for arguments by the name of their variable', () => {
  const given = { INGOT_ARG_java_distro: 'openjdk', INGOT_ARG_TOKEN: 'x' }
  assert.equal(argumentFromEnvironment('java_distro', given), 'openjdk')
  assert.equal(argumentFromEnvironment('token', given), 'x')
  assert.equal(argumentFromEnvironment('none', given), undefined)
})

/** What a load is refused with. */
function refusal(load: () => unknown): string {
  try {
    load()
  } catch (error) {
    if (isFailure(error, 'CONFIG_INVALID')) return error.message
  }
  return assert.fail('it was taken')
}
