export { openTeacherCache, type TeacherCache, type TeacherIdentity } from "./teacher-cache.ts";
export type { TeacherOutput } from "./teacher-record.ts";
