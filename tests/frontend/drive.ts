// Runs the code of docs/frontend.md: AUTH_URL, API_URL, SESSION and USER_ID come from the test.
import { firstSteps } from "./first-steps.js";
import { fetchToken, taskClient } from "./tasks.js";

const { AUTH_URL = "", API_URL = "", SESSION = "", USER_ID = "" } = process.env;
const session = { Authorization: `Bearer ${SESSION}` }; // a browser sends its cookie instead

const fromFrontend = fetchToken(AUTH_URL, session);
let fetched = 0;
const titles = await firstSteps(
  taskClient(API_URL, async () => (fetched++ === 0 ? "expired" : fromFrontend())),
  USER_ID,
);

const foreign = await taskClient(API_URL, fromFrontend).GET("/api/{user_id}/tasks", {
  params: { path: { user_id: "somebody-else" } },
});
let refused = 0;
const hopeless = await taskClient(API_URL, async () => `bad ${refused++}`).GET("/api/{user_id}/tasks", {
  params: { path: { user_id: USER_ID } },
});
console.log(
  JSON.stringify({ titles, fetched, foreign: foreign.response.status, hopeless: hopeless.response.status, refused }),
);
