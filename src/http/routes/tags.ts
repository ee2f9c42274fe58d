import type { FastifyInstance } from 'fastify'
import { MAX_NAME } from '../../api/image-schema.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import { countCharacters } from '../../schema/find-faults.ts'
import { sendNothing } from '../_answer.ts'
import { checkText } from '../_body.ts'
import { type ImageVisit, openDoor } from '../_door.ts'
import { checkCount } from '../_new-image.ts'

const TAG = '/v2/images/:image_id/tags/:tag'

/** `/v2/images/{id}/tags/{tag}`: single tags, put and taken away. */
export function tagRoutes(app: FastifyInstance, service: Service): void {
  const { images, config } = service
  const door = openDoor(service)

  app.put(
    TAG,
    { schema: { summary: 'tag an image' } },
    door.image('modify_image', async (visit) => {
      const tag = tagOf(visit)
      await images.change(visit.image.id, ({ tags }) => {
        if (tags.includes(tag)) return {}
        checkCount('tags', tags.length + 1, config.image.max_tags)
        return { tags: [...tags, tag].sort() }
      })
      return sendNothing(visit.reply)
    }),
  )

  app.delete(
    TAG,
    { schema: { summary: 'take a tag away' } },
    door.image('modify_image', async (visit) => {
      const tag = tagOf(visit)
      await images.change(visit.image.id, ({ id, tags }) => {
        if (tags.includes(tag)) return { tags: tags.filter((one) => one !== tag) }
        throw new Failure('TAG_NOT_FOUND', `image ${id} has no tag '${tag}'`, { details: { tag } })
      })
      return sendNothing(visit.reply)
    }),
  )
}

function tagOf({ request }: ImageVisit): string {
  const { tag = '' } = request.params as { tag?: string }
  checkText(tag)
  if (tag === '' || countCharacters(tag) > MAX_NAME)
    throw new Failure('REQUEST_INVALID', `a tag has 1 to ${MAX_NAME} characters`)
  return tag
}
