/** The command as people meet it: help, mistakes, completions, settings. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { runProcess } from '../src/base/process.ts'
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

  it('answers wrong words with JSON too when asked, and names the help that would have helped', async () => {
    for (const [words, message, fix] of [
      [['pakc'], /unknown command 'pakc'/, 'Did you mean pack?'],
      [['view', recipe, '--listen', 'x'], /wanted ADDRESS:PORT/, 'See `ingot view --help`.'],
      [['inspect', 'ftp://x/y'], /only addresses of https/, 'See `ingot inspect --help`.'],
      [
        ['image', 'import', 'x', '--uri', 'nonsense'],
        /--uri nonsense: wanted an address/,
        'See `ingot image import --help`.',
      ],
      [['factory'], /wanted a subcommand/, 'See `ingot factory --help`.'],
      [['factory', 'base'], /missing required argument/, 'See `ingot factory base --help`.'],
      [['imagefactory', 'base'], /wanted one of base_image, /, 'See `ingot imagefactory --help`.'],
    ] as const) {
      const { code, stdout, stderr } = await ingot(...words, '--json')
      assert.equal(code, 2)
      const { error } = JSON.parse(stdout) as {
        error: { code: string; message: string; fix: string }
      }
      assert.deepEqual([error.code, error.fix], ['USAGE', fix])
      assert.match(error.message, message)
      assert.match(stderr, /^ingot: /m)
    }
  })

  it('shows the common options in the help of what is below a subcommand', async () => {
    const { stdout } = await ingot('factory', 'base', '--help')
    assert.match(stdout, /^Common options:\n {2}--json /m)
  })

  it('leaves --version to a recipe that has an argument of that name', async () => {
    const versioned = join(directory, 'versioned.yaml')
    await writeFile(
      versioned,
      'arguments: {version: {description: of the server, default: "1"}}\nvalidators: [{hostname: web}]\n',
    )
    const words = ['--image', 'x', '--plan', '--version', '1.10', '--json']
    const { code, stdout, stderr } = await ingot('validate', versioned, ...words)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /"version".*"1\.10"/)
  })

  it('shows every setting with its value, its source and its meaning', async () => {
    const { code, stdout } = await ingot('config', 'show')
    assert.equal(code, 0)
    assert.match(stdout, /^jobs +8 +default +hosts that are worked on/m)
  })
})
