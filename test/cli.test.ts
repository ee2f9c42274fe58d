/** The command as people meet it: help, mistakes, completions, settings. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { findProgram, runProcess } from '../src/base/process.ts'
import { COMMANDS } from '../src/cli/commands.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const directory = await mkdtemp(join(tmpdir(), 'ingot-cli-test-'))
after(() => rm(directory, { recursive: true }))

async function ingot(...words: string[]) {
  const { code, stdout, stderr } = await runProcess([INGOT, ...words])
  return { code, stdout: stdout.toString(), stderr: stderr.toString() }
}

const recipe = join(directory, 'recipe.yaml')
await writeFile(
  recipe,
  `arguments:
  java-distro: {description: which Java, default: openjdk, choices: [openjdk, oracle]}
  token: {description: for the licence server, required: true, secret: true}
validators: [{hostname: web}]
`,
)

describe('the command', () => {
  it('lists every subcommand, with what it is for', async () => {
    const { code, stdout } = await ingot('--help')
    assert.equal(code, 0)
    for (const { name } of COMMANDS) assert.match(stdout, new RegExp(`^  ${name}\\b`, 'm'))
  })

  it('shows the help of every subcommand', async () => {
    const helps = await Promise.all(COMMANDS.map(({ name }) => ingot(name, '--help')))
    for (const [index, { code, stdout }] of helps.entries()) {
      assert.equal(code, 0, `the help of ${COMMANDS[index]?.name}`)
      assert.match(stdout, /Usage: ingot /)
    }
  })

  it('shows the recipe’s own arguments among its options', async () => {
    const { stdout } = await ingot('pack', recipe, '--help')
    assert.match(stdout, /--java-distro <value> +which Java/)
    assert.match(stdout, /--token-file <file> +for the licence server \(a secret: the file that/)
  })

  it('answers a mistake with what was meant and exit code 2', async () => {
    const misspelt = await ingot('pakc')
    assert.equal(misspelt.code, 2)
    assert.match(misspelt.stderr, /Did you mean pack\?/)
    const wrongFlag = await ingot('pack', recipe, '--image', 'x', '--java-distor', 'openjdk')
    assert.equal(wrongFlag.code, 2)
    assert.match(wrongFlag.stderr, /Did you mean --java-distro\?/)
    assert.equal((await ingot()).code, 2)
  })

  it('refuses a value that is none of an argument’s choices', async () => {
    const { code, stderr } = await ingot('pack', recipe, '--image', 'x', '--java-distro', 'sun')
    assert.equal(code, 2)
    assert.match(stderr, /Allowed choices are openjdk, oracle/)
  })

  it('says which arguments are missing, and takes no secret on the command line', async () => {
    const missing = await ingot('validate', recipe, '--image', 'x', '--plan')
    assert.equal(missing.code, 2)
    assert.match(missing.stderr, /argument 'token' is required/)
    const told = await ingot('validate', recipe, '--image', 'x', '--plan', '--set', 'token=hunter2')
    assert.equal(told.code, 2)
    assert.match(told.stderr, /command lines are seen by everybody/)
    assert.doesNotMatch(told.stderr, /hunter2/)
  })

  it('shows no secret, wherever it came from', async () => {
    const secret = join(directory, 'secret')
    await writeFile(secret, 'hunter2\n')
    const { code, stdout, stderr } = await ingot(
      'validate',
      recipe,
      '--image',
      'x',
      '--plan',
      '--token-file',
      secret,
      '--json',
    )
    assert.equal(code, 0, stderr)
    assert.match(stdout, /"token".*\*\*\*/)
    assert.doesNotMatch(stdout + stderr, /hunter2/)
  })

  it('says what is wrong with a recipe, all at once, each with its place', async () => {
    const faulty = join(directory, 'faulty.yaml')
    await writeFile(faulty, 'validators:\n  - pakage: nginx\n  - service: {nam: x}\n')
    const { code, stderr } = await ingot('pack', faulty, '--image', 'x')
    assert.equal(code, 2)
    assert.match(stderr, /faulty\.yaml:2:5: unknown validator 'pakage'; did you mean 'package'\?/)
    assert.match(stderr, /faulty\.yaml:3:15: unknown key 'nam'; did you mean 'name'\?/)
  })

  it('answers with JSON when asked, failures too', async () => {
    const { code, stdout } = await ingot(
      'validate',
      join(directory, 'none.yaml'),
      '--image',
      'x',
      '--json',
    )
    assert.equal(code, 3)
    const { error } = JSON.parse(stdout) as { error: { code: string } }
    assert.equal(error.code, 'RECIPE_NOT_FOUND')
  })

  it('shows every setting with its value, its source and its meaning', async () => {
    const { code, stdout } = await ingot('config', 'show')
    assert.equal(code, 0)
    assert.match(stdout, /^jobs +8 +default +hosts that are worked on/m)
  })

  for (const shell of ['bash', 'zsh', 'fish'] as const)
    it(`prints completions for ${shell} that know every subcommand`, async (test) => {
      const { code, stdout } = await ingot('completion', shell)
      assert.equal(code, 0)
      for (const { name } of COMMANDS) assert.ok(stdout.includes(name), name)
      if (!findProgram(shell)) {
        test.diagnostic(`${shell} is not installed: its syntax was not checked`)
        return
      }
      const script = join(directory, `completion.${shell}`)
      await writeFile(script, stdout)
      const { code: syntax, stderr } = await runProcess([shell, '-n', script])
      assert.equal(syntax, 0, stderr.toString())
    })
})
