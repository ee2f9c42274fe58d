import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { validatorMap } from '../app/builtin.ts'
import { Failure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { formatFault, inspectRecipe, readRecipe, resourceReader } from './read-recipe.ts'

const validators = validatorMap()
let root: string
before(() => (root = mkdtempSync(join(tmpdir(), 'ingot-recipe-'))))
after(() => rmSync(root, { recursive: true }))

/** Writes files below the directory of the test; the path of the first. */
function write(files: Record<string, string>): string {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), content)
  }
  return join(root, Object.keys(files)[0] ?? '')
}
const check = async (file: string) =>
  (await inspectRecipe(file, { validators })).faults
    .filter(({ severity }) => severity === 'error')
    .map(({ message }) => message)
const recipe = (script: string) => `validators:\n  - script: ${script}\n`
const SCRIPT = '#!/bin/sh\n[ "$test_only" = 0 ] || test -e /done\n'

describe('readRecipe', () => {
  it('finds scripts beside the recipe and below', async () => {
    const file = write({ 'good/r.yaml': recipe('scripts/a.sh'), 'good/scripts/a.sh': SCRIPT })
    assert.equal((await readRecipe(file, { validators })).steps[0]?.title, 'script scripts/a.sh')
  })

  it('fails with every fault, each with file, line and column', async () => {
    const file = write({ 'bad/r.yaml': 'validators:\n  - pakage: a\n  - script: none\n' })
    await assert.rejects(readRecipe(file, { validators }), (error: Failure) => {
      assert.equal(error.code, 'RECIPE_INVALID')
      assert.deepEqual(error.message.split('\n'), [
        `${file}:2:5: unknown validator 'pakage'; did you mean 'package'?`,
        `${file}:3:13: no file 'none' in ${join(root, 'bad')}`,
      ])
      assert.equal((error.details['faults'] as unknown[]).length, 2)
      return true
    })
  })

  it('gives warnings with the recipe', async () => {
    const file = write({ 'warn/r.yaml': 'arguments: {a: {default: x}}\nvalidators: []\n' })
    const { warnings } = await readRecipe(file, { validators })
    assert.deepEqual(warnings.map(formatFault), [`${file}:1:13: warning: no step looks at 'a'`])
  })

  it('says so when there is no recipe, or none can be read', async () => {
    await assert.rejects(
      readRecipe(join(root, 'none.yaml'), { validators }),
      failsWith('RECIPE_NOT_FOUND'),
    )
    await assert.rejects(readRecipe(root, { validators }), failsWith('FILE_UNREADABLE'))
  })

  it('refuses a file that is no recipe without reading all of it', async () => {
    const file = write({ 'huge/disk.raw': '' })
    truncateSync(file, 2 ** 34)
    assert.deepEqual(await check(file), ['the file has 5242880 characters; wanted at most 1048576'])
    assert.equal((await check('/dev/zero')).length, 1)
  })

  it('reads a file that begins with a byte order mark', async () => {
    assert.deepEqual(await check(write({ 'bom/r.yaml': '\ufeffvalidators: []\n' })), [])
  })
})

describe('a script of a recipe', () => {
  it('must be there, be a file, and not be too large', async () => {
    const file = write({ 'one/r.yaml': recipe('scripts'), 'one/scripts/a': SCRIPT, 'one/big': '' })
    assert.deepEqual(await check(file), ["'scripts' is not a file"])
    write({ 'one/r.yaml': recipe('a/b/c') })
    assert.match((await check(file))[0] ?? '', /^no file 'a\/b\/c' in /)
    truncateSync(join(root, 'one/big'), 2 ** 26 + 1)
    write({ 'one/r.yaml': recipe('big') })
    assert.deepEqual(await check(file), ["'big' has 67108865 bytes; wanted at most 67108864"])
  })

  it('must not lie outside the directory of the recipe', async () => {
    const file = write({ 'two/r.yaml': '', 'outside.sh': SCRIPT })
    for (const path of ['../outside.sh', 'x/../../outside.sh', '..'])
      assert.match(
        (await check(write({ 'two/r.yaml': recipe(path) })))[0] ?? '',
        /leads out of the recipe's directory/,
        path,
      )
    write({ 'two/r.yaml': recipe('/etc/passwd') })
    assert.deepEqual(await check(file), [
      "'/etc/passwd' must be a path within the recipe's directory",
    ])
  })

  it('must not lie outside by a symbolic link, of its own or of a directory', async () => {
    const file = write({ 'three/r.yaml': recipe('link.sh'), 'three/in.sh': SCRIPT })
    symlinkSync('/etc/passwd', join(root, 'three/link.sh'))
    assert.match((await check(file))[0] ?? '', /'link.sh' is a symbolic link that leads out/)
    symlinkSync('/etc', join(root, 'three/etc'))
    write({ 'three/r.yaml': recipe('etc/passwd') })
    assert.match((await check(file))[0] ?? '', /'etc\/passwd' is a symbolic link that leads out/)
    symlinkSync('in.sh', join(root, 'three/inner.sh'))
    write({ 'three/r.yaml': recipe('inner.sh') })
    assert.deepEqual(await check(file), [])
  })

  it('may be in a directory that is itself reached by a link', async () => {
    write({ 'real/r.yaml': recipe('a.sh'), 'real/a.sh': SCRIPT })
    symlinkSync('real', join(root, 'linked'))
    assert.deepEqual(await check(join(root, 'linked/r.yaml')), [])
  })
})

describe('resourceReader', () => {
  // Source: Sahara `plugins/images.py`, SaharaScriptValidator.from_spec.
  it('looks in each root in order, and the first file that is not empty wins', () => {
    write({
      'roots/1/empty': '',
      'roots/2/empty': 'second',
      'roots/1/both': 'first',
      'roots/2/both': 'second',
      'roots/2/only': 'second',
    })
    const read = resourceReader([join(root, 'roots/1'), join(root, 'roots/2')])
    assert.equal(read('empty').toString(), 'second')
    assert.equal(read('both').toString(), 'first')
    assert.equal(read('only').toString(), 'second')
    assert.throws(() => read('none'), /no file 'none' in .*roots\/1 or .*roots\/2$/)
  })
})
