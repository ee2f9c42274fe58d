import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { recipeOf } from '../../testing/recipe-text.ts'
import { parseTargetContent, type TargetKey, toTargetRecipe } from './target-content.ts'

const CONTENT = `<template_includes>
  <include><packages><package name="everywhere"/></packages></include>
  <include target="ec2"><packages><package name="ec2"/></packages></include>
  <include target="ec2" os="Fedora"><packages><package name="ec2-fedora"/></packages></include>
  <include target="ec2" os="Fedora" version="42"><packages><package name="ec2-fedora-42"/></packages></include>
  <include target="ec2" os="Fedora" version="42" arch="aarch64">
    <repositories><repository name="arm"><url>http://arm.example.org/</url></repository></repositories>
    <packages><package name="ec2-fedora-42-arm"/></packages>
  </include>
  <include target="gce"/>
</template_includes>`

const FEDORA: TargetKey = { target: 'ec2', os: 'Fedora', version: '42', arch: 'x86_64' }

function stepsFor(wanted: TargetKey): string[] | undefined {
  const { content, faults } = parseTargetContent(CONTENT, 'target_content.xml')
  assert.deepEqual(faults, [])
  const text = toTargetRecipe(content ?? [], wanted)
  return text === undefined ? undefined : recipeOf(text).steps.map(({ title }) => title)
}

describe('content for a target', () => {
  it('is that of the include that says most of what is wanted, and of no other', () => {
    assert.deepEqual(stepsFor({ ...FEDORA, arch: 'aarch64' }), [
      'repository arm',
      'package ec2-fedora-42-arm',
    ])
    assert.deepEqual(stepsFor(FEDORA), ['package ec2-fedora-42'])
    assert.deepEqual(stepsFor({ ...FEDORA, version: '41' }), ['package ec2-fedora'])
    assert.deepEqual(stepsFor({ ...FEDORA, os: 'Debian' }), ['package ec2'])
    assert.deepEqual(stepsFor({ ...FEDORA, target: 'ova' }), ['package everywhere'])
  })

  it('is nothing where the include says so', () => {
    assert.equal(stepsFor({ ...FEDORA, target: 'gce' }), undefined)
    assert.equal(toTargetRecipe([], FEDORA), undefined)
  })

  it('is refused with every fault and its place', () => {
    const { content, faults } = parseTargetContent(
      '<template_includes>\n<include targt="a">\n<files/></include><x/></template_includes>',
      'c.xml',
    )
    assert.equal(content, undefined)
    assert.deepEqual(
      faults.map(({ place, message }) => `${place.line}: ${message.split(';', 1)[0]}`),
      [
        "2: <include> has no attribute 'targt'",
        '3: <files> cannot stand in <include>',
        '3: <x> cannot stand in <template_includes>',
      ],
    )
    assert.match(
      parseTargetContent('<a/>', 'c.xml').faults[0]?.message ?? '',
      /wanted <template_includes>/,
    )
  })

  it('that is never taken is warned of', () => {
    const text = '<template_includes><include os="Fedora"/></template_includes>'
    const { content, faults } = parseTargetContent(text, 'c.xml')
    assert.equal(content?.length, 1)
    assert.match(faults[0]?.message ?? '', /never taken: it lacks 'target'/)
  })
})
