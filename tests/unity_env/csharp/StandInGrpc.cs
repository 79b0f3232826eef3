// Takes the place of Grpc.Core, whose native library is not to be had for Linux: ML-Agents' RpcCommunicator runs
// unchanged on it, and Transport hands the bytes of every call to the gRPC client of the Python process around it.
using System;
using System.Threading.Tasks;

[assembly: System.Reflection.AssemblyVersion("1.0.0.0")] // the one that ML-Agents asks for

namespace Grpc.Core
{
    public static class Transport
    {
        /// (address, method, request) -> response; set before the scene starts.
        public static Func<string, string, byte[], byte[]> Call;
    }

    public class ChannelCredentials
    {
        public static ChannelCredentials Insecure { get; } = new ChannelCredentials();
    }

    public class Channel
    {
        public readonly string Target;
        public Channel(string target, ChannelCredentials credentials) { Target = target; }
        public Task ShutdownAsync() => Task.CompletedTask;
    }

    public class ChannelInvoker : CallInvoker
    {
        readonly Channel m_Channel;
        public ChannelInvoker(Channel channel) { m_Channel = channel; }

        public override TResponse BlockingUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string host, CallOptions options, TRequest request)
        {
            byte[] response;
            try
            {
                response = Transport.Call(m_Channel.Target, method.FullName, method.RequestMarshaller.Serializer(request));
            }
            catch (Exception error)
            {
                throw new RpcException(new Status(StatusCode.Unavailable, error.Message));
            }
            return method.ResponseMarshaller.Deserializer(response);
        }
    }

    public abstract class CallInvoker
    {
        public abstract TResponse BlockingUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string host, CallOptions options, TRequest request);

        public AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string host, CallOptions options, TRequest request) =>
            throw new NotSupportedException();
    }

    public abstract class ClientBase
    {
        readonly CallInvoker m_Invoker;
        protected ClientBase(CallInvoker invoker) { m_Invoker = invoker; }
        protected CallInvoker CallInvoker => m_Invoker;
        protected internal class ClientBaseConfiguration { }
    }

    public abstract class ClientBase<T> : ClientBase
    {
        protected ClientBase() : base(null) { }
        protected ClientBase(Channel channel) : base(new ChannelInvoker(channel)) { }
        protected ClientBase(CallInvoker invoker) : base(invoker) { }
        protected ClientBase(ClientBaseConfiguration configuration) : base(null) { }
        protected abstract T NewInstance(ClientBaseConfiguration configuration);
    }

    public enum MethodType { Unary }

    public class Marshaller<T>
    {
        public readonly Func<T, byte[]> Serializer;
        public readonly Func<byte[], T> Deserializer;
        public Marshaller(Func<T, byte[]> serializer, Func<byte[], T> deserializer)
        {
            Serializer = serializer;
            Deserializer = deserializer;
        }
    }

    public static class Marshallers
    {
        public static Marshaller<T> Create<T>(Func<T, byte[]> serializer, Func<byte[], T> deserializer) =>
            new Marshaller<T>(serializer, deserializer);
    }

    public class Method<TRequest, TResponse>
    {
        public readonly string FullName;
        public readonly Marshaller<TRequest> RequestMarshaller;
        public readonly Marshaller<TResponse> ResponseMarshaller;
        public Method(MethodType type, string service, string name, Marshaller<TRequest> request, Marshaller<TResponse> response)
        {
            FullName = "/" + service + "/" + name;
            RequestMarshaller = request;
            ResponseMarshaller = response;
        }
    }

    public enum StatusCode { OK, Unknown = 2, DeadlineExceeded = 4, Unimplemented = 12, Unavailable = 14 }

    public struct Status
    {
        public Status(StatusCode code, string detail) { StatusCode = code; Detail = detail; }
        public StatusCode StatusCode { get; }
        public string Detail { get; }
    }

    public class RpcException : Exception
    {
        public RpcException(Status status) : base(status.Detail) { Status = status; }
        public Status Status { get; }
    }

    // Named in signatures only.
    public class Metadata { }
    public class WriteOptions { }
    public class ContextPropagationToken { }
    public class CallCredentials { }
    public class ServerCallContext { }
    public class ServerServiceDefinition { }
    public class AsyncUnaryCall<T> { }
    public struct CallOptions
    {
        public CallOptions(
            Metadata headers, DateTime? deadline, System.Threading.CancellationToken cancellation, WriteOptions write,
            ContextPropagationToken propagation, CallCredentials credentials)
        {
        }
    }
}
