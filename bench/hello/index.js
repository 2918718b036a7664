// The smallest worker: how long workerd itself takes from its start to a first answer.
export default {
    fetch() {
        return new Response("hello\n");
    },
};
