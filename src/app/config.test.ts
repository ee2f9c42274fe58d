import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { argumentFromEnvironment, configSchema, loadConfig } from './config.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-config-test-'))
after(() => rm(directory, { recursive: true }))

async function configFile(text: string): Promise<string> {
  const path = join(directory, `${text.length}-${Math.abs(text.charCodeAt(0))}.yaml`)
  await writeFile(path, text)
  return path
}

const env = { XDG_CONFIG_HOME: directory }

test('every setting has a default, a meaning and a source', () => {
  const { config, sources } = loadConfig({ env })
  for (const [key, schema] of Object.entries(configSchema.properties)) {
    assert.notEqual(config[key as keyof typeof config], undefined, key)
    assert.ok(Reflect.get(schema, 'description'), key)
    assert.equal(sources[key as keyof typeof sources], 'default')
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
  assert.equal(sources.jobs, `file ${file}`)
  assert.equal(sources.accelerator, 'environment INGOT_ACCELERATOR')
  assert.equal(sources.command_timeout_s, 'flag')
})

test('an unknown or wrong setting is refused with where it stands and what was wanted', async () => {
  const misspelt = await configFile('cache_dri: /tmp\n')
  assert.match(
    refusal(() => loadConfig({ file: misspelt, env })),
    /unknown setting 'cache_dri'; did you mean 'cache_dir'\?/,
  )
  assert.match(
    refusal(() => loadConfig({ env: { ...env, INGOT_JOBS: 'many' } })),
    /environment INGOT_JOBS: jobs: wanted a whole number/,
  )
  const list = await configFile('- a\n')
  assert.match(
    refusal(() => loadConfig({ file: list, env })),
    /wanted a mapping/,
  )
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
